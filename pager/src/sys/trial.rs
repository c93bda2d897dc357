//! Trying in a child what may be the end of the process.

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::disposition;

/// Whether a child that does `risky` lives on to its own exit. Where there can be no child, it is said to.
pub fn survives(risky: impl FnOnce()) -> bool {
    // SAFETY: where this process has other threads, glibc makes its own locks usable in the child, which
    // makes system calls and exits.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            // A handler that was inherited would hide what happens.
            let _ = disposition::reset(Signal::SIGSYS);
            risky();
            // SAFETY: ends this process without running the parent's destructors.
            unsafe { libc::_exit(0) }
        }
        Ok(ForkResult::Parent { child }) => !matches!(waitpid(child, None), Ok(WaitStatus::Signaled(..))),
        Err(_) => true,
    }
}
