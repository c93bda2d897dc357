//! Why an archive cannot be shown.

use std::io;

use crate::images::index::IndexError;

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

/// A name that may hold anything, fit for a terminal.
pub(super) fn printable(name: &[u8]) -> String {
    let shown = &name[..name.len().min(200)];
    let dots = if name.len() > shown.len() { "..." } else { "" };
    format!("{}{dots}", shown.escape_ascii())
}
