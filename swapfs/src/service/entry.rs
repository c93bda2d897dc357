//! What look-ups and listings tell.

use std::ffi::OsString;
use std::time::Duration;

use crate::filesystem::Ino;
use crate::filesystem::attr::{Attr, FileKind};

/// Attributes, and how long the kernel may believe them.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The attributes.
    pub attr: Attr,
    /// How long they and the name hold.
    pub ttl: Duration,
}

/// One name of an open directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its inode number, or a stand-in.
    pub ino: Ino,
    /// Its kind.
    pub kind: FileKind,
    /// The name.
    pub name: OsString,
}
