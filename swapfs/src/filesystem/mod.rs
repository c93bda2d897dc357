//! The rules of the file system, as plain data and functions: numbers of inodes, ranges, symlinks, errors,
//! caching.
//!
//! No I/O, no lock, no clock and no FUSE types here; [`crate::service`] holds the locks and does the I/O.

pub mod attr;
pub mod caching;
mod error;
pub mod extent;
pub mod inode;
pub mod symlink;

pub use attr::{Attr, FileKind, Ino, Owner};
pub use error::FsError;
