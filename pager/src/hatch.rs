//! The hatch: a socket between the supervisor and the processes of its run, through which descriptors are
//! handed.
//!
//! Its inner end is one open file that all processes inherit, and none of them reads: what is put in lies
//! there, held open by the kernel, for as long as one of them has it. What they hand out the supervisor
//! takes. Nobody ever waits at it.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};

use crate::descriptors::HighFd;
use crate::sys;

/// The supervisor's side of it.
pub struct Hatch {
    outside: OwnedFd,
    inside: HighFd,
}

impl Hatch {
    /// A new one.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn new() -> io::Result<Hatch> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (outside, inside) = socketpair(AddressFamily::Unix, SockType::Datagram, None, flags)?;
        Ok(Hatch { outside, inside: HighFd::new(&inside)? })
    }

    /// Descriptor number of the inner end in every process of the run.
    pub fn number(&self) -> RawFd {
        self.inside.number()
    }

    /// Puts a descriptor in: it stays open until the last process has ended.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn put(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let fds = [fd.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(self.outside.as_raw_fd(), &[IoSlice::new(&[0])], &message, MsgFlags::empty(), None)?;
        Ok(())
    }

    /// Takes a descriptor that a process has handed out, if there is one.
    pub fn take(&self) -> Option<OwnedFd> {
        sys::socket::receive(&self.outside).ok()
    }
}

#[cfg(test)]
impl Hatch {
    /// The inner end, as a process inherits it.
    pub(crate) fn inner(&self) -> OwnedFd {
        use std::os::fd::AsFd;
        self.inside.as_fd().try_clone_to_owned().expect("a duplicate")
    }
}
