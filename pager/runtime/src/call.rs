//! A trapped system call, and making one as it is.

use pager_core::calls::Row;

use crate::sys::{Errno, nr};

/// Length of the `syscall` instruction.
pub const SYSCALL_BYTES: u64 = 2;

/// A trapped call.
#[derive(Clone, Copy)]
pub struct Call {
    pub row: &'static Row,
    pub args: [u64; 6],
}

/// Makes a call as it is, without looking at its pointers.
pub fn raw(number: u64, args: [u64; 6]) -> Result<u64, Errno> {
    debug_assert!(number != nr::MMAP && number != nr::MUNMAP);
    // SAFETY: the program's own call, or one of ours with pointers into live memory.
    crate::sys::check(unsafe { crate::sys::syscall(number, args) })
}
