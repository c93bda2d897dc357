//! Sending a signal with a value.

use libc::{c_int, c_void, pid_t};

/// Queues `signal` for process `pid` with `value`; one that cannot be signalled is left alone.
pub fn queue(pid: pid_t, signal: c_int, value: u64) {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut::<c_void>(value as usize) };
    // SAFETY: plain numbers; the pointer is a value that nobody follows.
    unsafe { libc::sigqueue(pid, signal, value) };
}
