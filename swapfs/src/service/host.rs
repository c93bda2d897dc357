//! Whose process serves a mount, and how its requests come.

use std::fmt;

/// Whose process serves a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Host {
    /// A program that uses this library: nobody else's to end.
    #[default]
    Program,
    /// `swapfs mount`'s own: SIGTERM ends it and the mount.
    Daemon,
}

/// The way in which the requests of a mount come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By `/dev/fuse`.
    Device,
    /// Over io_uring.
    Rings,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Device => "by /dev/fuse",
            Way::Rings => "over io_uring",
        })
    }
}
