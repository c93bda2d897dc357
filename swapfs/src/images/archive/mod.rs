//! Archives as sources: their files are read in place, nothing is unpacked.
//!
//! An archive may be written by somebody hostile: sizes, counts, offsets and names are believed only after
//! they were checked against the archive's real size and against fixed limits. What is wrong with the whole
//! is one [`ArchiveError`] when mounting; what is wrong with one file is `EIO` to who reads it.

mod error;
mod medium;
mod prints;
mod squashfs;
mod taking;
mod tar;
mod unserved;

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

pub use error::ArchiveError;
pub use medium::{HostArchive, Medium};
pub use squashfs::SquashfsTree;
pub use tar::TarTree;
pub(super) use unserved::note;

use super::tree::Tree;
use error::printable;

/// Opens the regular file at `path` as an archive, if its first bytes say that it is one.
///
/// # Errors
/// [`ArchiveError`] where it is one that cannot be shown.
pub(super) fn open_archive(path: &Path) -> Result<Option<Box<dyn Tree>>, ArchiveError> {
    let medium = Arc::new(HostArchive::new(File::open(path)?)?);
    let mut start = [0; 512];
    let known = usize::try_from(medium.size_bytes()).unwrap_or(512).min(512);
    medium.read_exact_at(&mut start[..known], 0)?;
    // An archive of no members is the mark of the end alone, or nothing.
    let is_empty_tar =
        || path.extension().is_some_and(|end| end == "tar") && start.iter().all(|byte| *byte == 0);
    let is_squashfs = squashfs::is_squashfs(&start);
    let is_tar = tar::is_tar(&start) || is_empty_tar();
    if is_squashfs || is_tar {
        taking::take(&medium);
    }
    if is_squashfs {
        return Ok(Some(Box::new(SquashfsTree::open(medium)?)));
    }
    if is_tar {
        let tree = TarTree::open(medium)?;
        if let Some(left_out) = tree.left_out() {
            tracing::warn!("image source {}: {left_out}", printable(path.as_os_str().as_bytes()));
        }
        return Ok(Some(Box::new(tree)));
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
