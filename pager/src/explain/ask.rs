//! Asking a paged process about its pages.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use pager_core::addr::PageNum;
use pager_core::inquiry::Answer;
use pager_core::shared::Process;
use thiserror::Error;

use crate::attach::{AttachError, Attached};
use crate::members::Membership;
use crate::stat::Stat;
use crate::sys;

/// How long a process is waited for that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so long it is asked again: the signal may have found it in the middle of something.
const AGAIN: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_micros(20);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// There is no such run.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The pager itself has no paged memory.
    #[error("process {pid} is the pager of a run; name one of its programs: {programs}")]
    Supervisor {
        /// As given.
        pid: u32,
        /// Who may be named.
        programs: String,
    },
    /// Another `pager explain` has been at it for long.
    #[error("process {other} asks this run already; try again when it has ended")]
    Taken {
        /// Who.
        other: u32,
    },
    /// It did not answer.
    #[error(
        "process {pid} does not answer: it is stopped, has ended, or executes a program that is not paged"
    )]
    Silent {
        /// As given.
        pid: u32,
    },
}

/// A process that can be asked.
pub struct Asked {
    run: Attached,
    pid: u32,
    slot: usize,
}

static COUNTER: AtomicU32 = AtomicU32::new(1);

impl Asked {
    /// The paged process `pid`.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub fn of(pid: u32) -> Result<Asked, AskError> {
        let run = Attached::to(pid)?;
        let slots = run.control().processes.iter();
        let known: Vec<u32> = slots.filter_map(Process::known_pid).collect();
        let mut slots = run.control().processes.iter();
        match slots.position(|process| process.known_pid() == Some(pid)) {
            Some(slot) => Ok(Asked { run, pid, slot }),
            None => {
                let programs = known.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                Err(AskError::Supervisor { pid, programs })
            }
        }
    }

    /// The run that it belongs to.
    pub fn run(&self) -> &Attached {
        &self.run
    }

    /// What it knows of a page.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub fn ask(&self, page: PageNum) -> Result<Answer, AskError> {
        let desk = &self.run.control().desk;
        let number = u64::from(std::process::id()) << 32 | u64::from(COUNTER.fetch_add(1, Relaxed));
        let begin = Instant::now();
        while let Err(other) = desk.asked.compare_exchange(0, number, SeqCst, SeqCst) {
            let asker = (other >> 32) as u32;
            if Stat::of(asker).is_none_or(|stat| stat.has_ended) {
                let _ = desk.asked.compare_exchange(other, 0, SeqCst, SeqCst);
            } else if begin.elapsed() > PATIENCE {
                return Err(AskError::Taken { other: asker });
            }
            thread::sleep(PAUSE);
        }
        let answer = self.wait(page, number);
        let _ = desk.asked.compare_exchange(number, 0, SeqCst, SeqCst);
        answer.ok_or(AskError::Silent { pid: self.pid })
    }

    fn wait(&self, page: PageNum, number: u64) -> Option<Answer> {
        let (begin, mut asked) = (Instant::now(), None::<Instant>);
        loop {
            if let Some(answer) = self.run.control().desk.take(number) {
                return answer;
            }
            if begin.elapsed() > PATIENCE {
                return None;
            }
            if asked.is_none_or(|at| at.elapsed() > AGAIN) {
                self.send(page, number);
                asked = Some(Instant::now());
            }
            thread::sleep(PAUSE);
        }
    }

    /// No stranger is sent a signal on the word of memory that programs can write to.
    fn send(&self, page: PageNum, number: u64) {
        self.run.control().processes[self.slot].poke(|pid| {
            if pid == self.pid
                && let Ok(pid) = i32::try_from(pid)
                && self.run.mark.membership(self.pid) == Membership::Member
            {
                sys::signal::inquire(pid, page, number);
            }
        });
    }
}
