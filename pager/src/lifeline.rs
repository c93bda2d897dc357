//! The lifeline: what ends the processes of a run when supervisor and keeper are killed together, and nobody
//! is left to run any code.
//!
//! A pipe that nobody writes to. Its writing end is the supervisor's and the keeper's; each process of the
//! run has had the kernel promise SIGKILL for the moment when the last writer is gone (`lifeline.rs` of the
//! runtime). A run that ends by itself may leave daemons behind, who go on. They cannot be asked, since they
//! may be stopped or asleep, and nothing must be left running for their sake; so the writing end is put in
//! the [`Hatch`], where the kernel holds it open until the last of them has ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use crate::descriptors::HighFd;
use crate::hatch::Hatch;

/// The supervisor's part of it.
pub struct Lifeline {
    reader: HighFd,
    writer: OwnedFd,
}

impl Lifeline {
    /// A new one.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn new() -> io::Result<Lifeline> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Lifeline { reader: HighFd::new(&reader)?, writer })
    }

    /// Descriptor number of the reading end in every process of the run.
    pub fn number(&self) -> RawFd {
        self.reader.number()
    }

    /// The writing end, for the keeper.
    pub fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// Lets the processes that there are go on when this one has ended.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn let_go(&self, hatch: &Hatch) -> io::Result<()> {
        hatch.put(self.writer())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Read};

    use nix::fcntl::{FcntlArg, fcntl};

    use super::*;

    /// A process of the run, as far as it matters here.
    struct Process {
        reader: File,
        hatch: Option<OwnedFd>,
    }

    impl Process {
        fn of(lifeline: &Lifeline, hatch: &OwnedFd) -> Process {
            let reader =
                lifeline.reader.as_fd().try_clone_to_owned().expect("a duplicate, as a fork makes it");
            fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
            Process { reader: reader.into(), hatch: Some(hatch.try_clone().expect("a duplicate")) }
        }

        /// Whether the last writer is gone.
        fn is_torn(&mut self) -> bool {
            match self.reader.read(&mut [0]) {
                Ok(0) => true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => false,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn it_tears_when_nobody_has_let_go() {
        let (lifeline, hatch) = (Lifeline::new().expect("a pipe"), Hatch::new().expect("a socket"));
        let mut process = Process::of(&lifeline, &hatch.inner());
        drop(hatch);
        assert!(!process.is_torn());
        drop(lifeline);
        assert!(process.is_torn());
    }

    #[test]
    fn it_holds_once_let_go_until_the_last_one_has_ended() {
        let (lifeline, hatch) = (Lifeline::new().expect("a pipe"), Hatch::new().expect("a socket"));
        let (mut first, mut last) =
            (Process::of(&lifeline, &hatch.inner()), Process::of(&lifeline, &hatch.inner()));
        lifeline.let_go(&hatch).expect("sent");
        drop((lifeline, hatch));
        first.hatch = None;
        assert!(!first.is_torn() && !last.is_torn());
        last.hatch = None;
        assert!(first.is_torn(), "the writing end is gone with the last hatch");
    }
}
