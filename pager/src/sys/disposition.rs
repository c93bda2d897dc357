//! What signals do to this process.

use std::io;

use nix::sys::signal::Signal;

/// Gives `signal` its default action.
///
/// # Errors
///
/// `EINVAL` for signals whose action cannot be changed.
pub fn reset(signal: Signal) -> io::Result<()> {
    // SAFETY: the default action runs no code of ours.
    match unsafe { libc::signal(signal as i32, libc::SIG_DFL) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Sends `signal`, with its default action and unblocked, to this process. Returns if that does not kill.
pub fn die_of(signal: i32) {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: all zeros is a valid `sigset_t`.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: (1) `set` is ours; (2) a number that is no signal is refused.
    unsafe { libc::sigaddset(&raw mut set, signal) };
    // SAFETY: reads `set` only, and there is nowhere to write the old mask.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
    // SAFETY: sends a signal to ourselves; touches no memory.
    unsafe { libc::raise(signal) };
}
