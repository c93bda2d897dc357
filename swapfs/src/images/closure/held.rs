//! Files of the host that are held open.

use std::os::fd::OwnedFd;

use crate::images::index::Leaf;

/// A file of the host that is held open, as a place: neither read nor written.
#[derive(Debug)]
pub(super) struct HeldFile {
    pub(super) place: OwnedFd,
    pub(super) size_bytes: u64,
    pub(super) allocated_bytes: u64,
}

impl Leaf for HeldFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn allocated_bytes(&self) -> u64 {
        self.allocated_bytes
    }
}
