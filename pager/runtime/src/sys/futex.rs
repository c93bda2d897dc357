//! Sleeping and waking on a word of memory.

use core::sync::atomic::{AtomicU32, AtomicU64};

use super::{Errno, call, nr};

pub const FUTEX_WAIT: u64 = 0;
pub const FUTEX_WAKE: u64 = 1;
pub const FUTEX_WAIT_BITSET: u64 = 9;
pub const FUTEX_WAKE_BITSET: u64 = 10;
/// The futex is this process's alone.
pub const FUTEX_PRIVATE: u64 = 128;
/// What of an operation says which it is (`FUTEX_CMD_MASK`, but for the clock's flag, which no operation here
/// has).
pub const FUTEX_COMMAND: u64 = 127;

/// Sleeps while `word` holds `value`; may return for no reason.
pub fn wait(word: &AtomicU32, value: u32) {
    let _ = call!(nr::FUTEX, word as *const AtomicU32, FUTEX_WAIT | FUTEX_PRIVATE, value, 0);
}

/// Wakes up to `count` sleepers.
pub fn wake(word: &AtomicU32, count: u32) {
    let _ = call!(nr::FUTEX, word as *const AtomicU32, FUTEX_WAKE | FUTEX_PRIVATE, count);
}

/// [`wait`] on the low half of a 64-bit word (little-endian: at the same address).
pub fn wait_low(word: &AtomicU64, value: u32) {
    let _ = call!(nr::FUTEX, word as *const AtomicU64, FUTEX_WAIT | FUTEX_PRIVATE, value, 0);
}

/// [`wake`] of everybody on the low half of a 64-bit word.
pub fn wake_low(word: &AtomicU64) {
    let _ = call!(nr::FUTEX, word as *const AtomicU64, FUTEX_WAKE | FUTEX_PRIVATE, i32::MAX);
}

/// Wakes one sleeper on an address of the program, as the kernel does when a thread exits (not private: glibc
/// waits that way).
///
/// # Errors
/// EFAULT where the page is not there and writable.
pub fn wake_program(addr: u64) -> Result<(), Errno> {
    call!(nr::FUTEX, addr, FUTEX_WAKE, 1).map(drop)
}
