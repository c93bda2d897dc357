//! Archives as sources: their files are read in place, nothing is unpacked.
//!
//! An archive may be written by somebody hostile: sizes, counts, offsets and names are believed only after they were checked
//! against the archive's real size and against fixed limits. What is wrong with the whole is one [`ArchiveError`] when
//! mounting; what is wrong with one file is `EIO` to who reads it.

mod medium;
mod squashfs;
mod tar;
mod unserved;

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

pub use medium::{HostArchive, Medium};
pub use squashfs::SquashfsTree;
pub use tar::TarTree;
pub(super) use unserved::note;

use super::index::IndexError;
use super::tree::Tree;

/// Why an archive cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// Compressed as one stream, so that nothing in its middle can be found.
    #[error(
        "it is compressed as a whole, so nothing in it can be read in place; decompress it (`{tool} -dc {path} > root.tar`), or make a squashfs \
         of it (`mkdir root && tar -xf {path} -C root && mksquashfs root root.sqfs`), and show that"
    )]
    Compressed {
        /// What decompresses it.
        tool: &'static str,
        /// The archive.
        path: String,
    },
    /// It ends too early.
    #[error("it is cut off: {needed} bytes are needed at byte {at}")]
    Truncated {
        /// Where.
        at: u64,
        /// How many.
        needed: u64,
    },
    /// A part of it makes no sense.
    #[error("it is damaged at byte {at}: {why}")]
    Damaged {
        /// Where.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A member that cannot be shown; its name is escaped.
    #[error("its member `{name}` at byte {at} {why}")]
    Member {
        /// The name.
        name: String,
        /// Where its header is.
        at: u64,
        /// What is wrong.
        why: IndexError,
    },
    /// A variant of the format that is not served.
    #[error("{0}")]
    Unsupported(String),
}

/// Opens the regular file at `path` as an archive, if its first bytes say that it is one.
///
/// # Errors
/// [`ArchiveError`] where it is one that cannot be shown.
pub(super) fn open_archive(path: &Path) -> Result<Option<Box<dyn Tree>>, ArchiveError> {
    let medium = Arc::new(HostArchive::new(File::open(path)?)?);
    let mut start = [0; 512];
    let known = usize::try_from(medium.size_bytes()).unwrap_or(512).min(512);
    medium.read_exact_at(&mut start[..known], 0)?;
    if squashfs::is_squashfs(&start) {
        return Ok(Some(Box::new(SquashfsTree::open(medium)?)));
    }
    if tar::is_tar(&start) {
        return Ok(Some(Box::new(TarTree::open(medium)?)));
    }
    match unserved::compression(&start) {
        Some(tool) if is_called_tar(path) || unserved::holds_tar(tool, path) => {
            Err(ArchiveError::Compressed { tool, path: printable(path.as_os_str().as_bytes()) })
        }
        _ => Ok(None),
    }
}

fn is_called_tar(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.contains(".tar.") || [".tgz", ".txz", ".tzst", ".tbz", ".tbz2"].iter().any(|end| name.ends_with(end))
}

/// A name that may hold anything, fit for a terminal.
fn printable(name: &[u8]) -> String {
    let shown = &name[..name.len().min(200)];
    let dots = if name.len() > shown.len() { "..." } else { "" };
    format!("{}{dots}", shown.escape_ascii())
}
