//! A descriptor that exec keeps.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Duplicates `fd` to the lowest free number from `least` on, without close-on-exec.
///
/// # Errors
///
/// `EMFILE` if there is none, `EINVAL` if `least` is over the limit.
pub fn duplicate(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: makes a descriptor; touches no memory.
    let number = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD, least) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the number was just made for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
