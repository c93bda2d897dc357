//! A question to a file system that may never be answered.
//!
//! A request that the kernel has handed to a daemon is waited for whatever happens to its client: one that is
//! asked of a stopped daemon over io_uring can neither be given up nor killed, and a thread that waits for it
//! keeps its whole process from ending. So a process of its own asks.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// How often it is looked whether the answer has come.
const LOOK: Duration = Duration::from_millis(1);

/// What statfs(2) of `path` fails with, or 0, if it says so in time: nothing that it asks is ever answered
/// from a cache.
///
/// # Errors
/// When no process can be had, or the path holds a zero byte.
pub fn statfs_within(path: &Path, patience: Duration) -> io::Result<Option<i32>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the child does nothing but calls that are safe after a fork of a process with threads
    // (signal-safety(7)): it allocates nothing, takes no lock, and ends without running anything of ours.
    match unsafe { fork()? } {
        ForkResult::Child => ask(&path),
        ForkResult::Parent { child } => Ok(answer_of(child, patience)),
    }
}

fn ask(path: &CString) -> ! {
    // SAFETY: there is no argument to be read, and nothing of this process uses a descriptor any more.
    // Without this, who reads what our process prints would wait for the answer, too.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
    let errno = rustix::fs::statfs(path.as_c_str()).err().map_or(0, rustix::io::Errno::raw_os_error);
    // SAFETY: it ends the process, and touches no memory.
    unsafe { libc::_exit(errno.min(255)) }
}

fn answer_of(child: Pid, patience: Duration) -> Option<i32> {
    let began = Instant::now();
    while began.elapsed() < patience {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, errno)) => return Some(errno),
            Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::EINTR) => std::thread::sleep(LOOK),
            // Somebody else has waited for it, or it was killed: no answer.
            _ => return None,
        }
    }
    let _ = kill(child, Signal::SIGKILL);
    // It ends when the question is answered after all; this thread is no hindrance until then.
    std::thread::spawn(move || waitpid(child, None));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_answers_is_heard_and_so_is_an_error() {
        let patience = Duration::from_secs(30);
        assert_eq!(statfs_within(Path::new("/"), patience).unwrap(), Some(0));
        assert_eq!(statfs_within(Path::new("/no/such"), patience).unwrap(), Some(2));
        assert!(statfs_within(Path::new("a\0b"), patience).is_err());
    }
}
