//! Sending signals: with a value, and to a process that cannot be mistaken for a later one. By number, since
//! `nix` knows no real-time signals.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void, pid_t};
use nix::sys::signal::SigSet;
use pager_core::addr::PageNum;
use pager_core::inquiry::INQUIRY;

/// The set of these signals.
pub fn set(numbers: impl IntoIterator<Item = c_int>) -> SigSet {
    // SAFETY: all zeros is a valid `sigset_t`, the empty one.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    for number in numbers {
        // SAFETY: `set` is ours; a number that is no signal is refused.
        unsafe { libc::sigaddset(&raw mut set, number) };
    }
    // SAFETY: `sigaddset` has made it from a valid one.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// Sends `signal` to process `pid`; one that cannot be signalled is left alone.
pub fn send(pid: pid_t, signal: c_int) {
    // SAFETY: sends a signal; touches no memory.
    unsafe { libc::kill(pid, signal) };
}

/// Queues `signal` for process `pid` with `value`; one that cannot be signalled is left alone.
pub fn queue(pid: pid_t, signal: c_int, value: u64) {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut::<c_void>(value as usize) };
    // SAFETY: plain numbers; the pointer is a value that nobody follows.
    unsafe { libc::sigqueue(pid, signal, value) };
}

/// `siginfo_t` of a queued signal, as the kernel lays it out: `si_pid` and `si_uid` share the first field, the
/// value is the second; two more words travel behind it.
#[repr(C)]
struct Queued {
    signal: c_int,
    errno: c_int,
    code: c_int,
    padding: c_int,
    fields: [u64; 14],
}

const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());

/// Asks process `pid`, which is paged, about `page` of its memory; `number` tells the question from others. One
/// that cannot be signalled is left alone.
pub fn inquire(pid: pid_t, page: PageNum, number: u64) {
    let mut fields = [0; 14];
    (fields[1], fields[2], fields[3]) = (INQUIRY, page.0, number);
    let info = Queued { signal: libc::SIGSEGV, errno: 0, code: libc::SI_QUEUE, padding: 0, fields };
    // SAFETY: the kernel reads a `siginfo_t`, whose size and layout `info` has, and touches no other memory.
    unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, libc::SIGSEGV, &raw const info) };
}

/// A process, whatever becomes of its number.
pub struct Handle(OwnedFd);

impl Handle {
    /// The process that has the number `pid` now.
    ///
    /// # Errors
    ///
    /// `ESRCH` if there is none.
    pub fn open(pid: u32) -> io::Result<Handle> {
        // SAFETY: makes a descriptor; touches no memory.
        let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        match RawFd::try_from(number) {
            // SAFETY: the number was just made for us, and nobody else knows it.
            Ok(number) if number >= 0 => Ok(Handle(unsafe { OwnedFd::from_raw_fd(number) })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Kills it.
    ///
    /// # Errors
    ///
    /// `ESRCH` if it has ended, `EPERM` if it is somebody else's.
    pub fn kill(&self) -> io::Result<()> {
        let none = std::ptr::null::<c_void>();
        // SAFETY: sends a signal; there is no information to be read.
        match unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), libc::SIGKILL, none, 0)
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
