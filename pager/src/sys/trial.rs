//! Trying in a child what may be the end of the process, or leave traces in it.

use std::io;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::disposition;

/// Whether a child that does `risky` lives on to its own exit. Where there can be no child, it is said to.
pub fn survives(risky: impl FnOnce()) -> bool {
    !matches!(
        in_child(|| {
            risky();
            Ok(())
        }),
        Ok(WaitStatus::Signaled(..))
    )
}

/// What comes of `attempt` in a child; nothing where that dies of it. Where there can be no child, it is said
/// to work.
pub fn attempts(attempt: impl FnOnce() -> io::Result<()>) -> Option<io::Result<()>> {
    match in_child(attempt) {
        Ok(WaitStatus::Signaled(..)) => None,
        Ok(WaitStatus::Exited(_, errno)) if errno != 0 => Some(Err(io::Error::from_raw_os_error(errno))),
        _ => Some(Ok(())),
    }
}

/// How a child ends that does `attempt` and exits with its errno.
fn in_child(attempt: impl FnOnce() -> io::Result<()>) -> nix::Result<WaitStatus> {
    // SAFETY: where this process has other threads, glibc makes its own locks usable in the child, which
    // makes system calls and exits.
    match unsafe { fork() }? {
        ForkResult::Child => {
            // A handler that was inherited would hide what happens.
            let _ = disposition::reset(Signal::SIGSYS);
            let errno = attempt().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
            // SAFETY: ends this process without running the parent's destructors.
            unsafe { libc::_exit(errno) }
        }
        ForkResult::Parent { child } => waitpid(child, None),
    }
}
