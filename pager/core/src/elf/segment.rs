//! A piece of the file that is to be mapped.

use crate::addr::{PageRange, VirtAddr};
use crate::area::Protection;

/// A `PT_LOAD` entry, checked: not empty in memory, `filesz <= memsz`, inside user space, its file bytes
/// inside the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Address of the first byte, before any bias.
    pub vaddr: u64,
    /// Bytes in memory, at least one.
    pub memsz: u64,
    /// Bytes from the file; what follows them in memory is zeros.
    pub filesz: u64,
    /// File offset of the first byte, congruent with `vaddr` within a page where there are file bytes.
    pub offset: u64,
    /// What the program may do with it.
    pub protection: Protection,
    /// Length of the file, to know how much of the last page it fills.
    pub file_len: u64,
}

impl Segment {
    /// The pages it touches.
    pub fn pages(&self) -> Option<PageRange> {
        PageRange::touching(VirtAddr(self.vaddr), self.memsz)
    }
}
