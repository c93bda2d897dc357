//! A process of ours that does not end with us.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid, chdir, fork, setsid};

/// Forks a process called `name` that waits until the other end of `line` is closed, does `work`, and ends;
/// `held` is open for as long as it lives.
///
/// It is in a session of its own, has every signal blocked, and nothing else of ours open: no stream that
/// somebody reads to its end, no folder that somebody wants to unmount. What it has of our memory is a copy.
///
/// # Errors
///
/// What fork said.
pub fn fork_apart(name: &CStr, line: OwnedFd, held: BorrowedFd<'_>, work: impl FnOnce()) -> io::Result<Pid> {
    // SAFETY: where this process has other threads, glibc makes its own locks usable in the child, and `work`
    // takes none but those of the heap.
    match unsafe { fork() }? {
        ForkResult::Child => {
            set_apart(name, [line.as_raw_fd(), held.as_raw_fd()]);
            let mut line = File::from(line);
            // Nobody writes to it: this returns when the last writer is gone.
            let _ = line.read(&mut [0]);
            work();
            // SAFETY: ends this process without running the parent's destructors.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => Ok(child),
    }
}

fn set_apart(name: &CStr, keep: [RawFd; 2]) {
    let _ = SigSet::all().thread_block();
    run_before_others();
    let _ = setsid();
    let _ = chdir("/");
    let mut keep = keep.map(RawFd::unsigned_abs);
    keep.sort_unstable();
    let mut from = 0;
    for kept in keep {
        if from < kept {
            close_range(from, kept - 1);
        }
        from = kept + 1;
    }
    close_range(from, u32::MAX);
    // SAFETY: reads a C string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Asks for a place before all ordinary threads, which root may: of what it ends, none may keep it from a
/// processor.
fn run_before_others() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: reads the structure. Refused, this process waits for its turn as others do.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &priority) };
}

fn close_range(first: u32, last: u32) {
    // SAFETY: closes descriptors of this process, which uses none of them any more.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}
