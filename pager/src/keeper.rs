//! The keeper: a small process that ends what is left of a run when its supervisor is killed.
//!
//! A supervisor that is killed runs no code any more. The first process of the run dies with it
//! (`PR_SET_PDEATHSIG`); its children do not, and one that forked twice has no parent in the run. So every
//! run has a keeper, in a session of its own and deaf to all signals but SIGKILL: it holds the reading end of
//! a pipe of which only the supervisor has the other, and when that closes it kills every process that has
//! the run's control file open, and what descends from those. A keeper that is killed is started again. If
//! both are killed, the run's [`Lifeline`] tears, which they hold together. When the program ends, the keeper
//! is dismissed first: daemons that the program left behind go on, as they would natively.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};
use pager_core::shared::Control;

use crate::control::ControlFile;
use crate::hatch::Hatch;
use crate::lifeline::Lifeline;
use crate::members::{Mark, Membership};
use crate::say;
use crate::stat::Stat;
use crate::sys::signal::Handle;
use crate::sys::wait::{News, news};
use crate::sys::{self};

/// How often a keeper is started again: one that ends as soon as it starts must not keep us busy for ever.
const RESTARTS: u32 = 100;
/// How long processes are looked for that do not go away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// The keeper of a run. Dropping it ends it.
pub struct Keeper {
    control: Arc<ControlFile>,
    lifeline: Lifeline,
    hatch: Arc<Hatch>,
    process: Option<Pid>,
    /// Closed by the kernel when this process ends.
    _line: OwnedFd,
    restarts_left: u32,
}

impl Keeper {
    /// Starts the keeper of the run of `control`, whose processes hold on to `lifeline`, and have `hatch`.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn start(control: Arc<ControlFile>, lifeline: Lifeline, hatch: Arc<Hatch>) -> io::Result<Keeper> {
        let (process, line) = start(&control, &lifeline)?;
        Ok(Keeper { control, lifeline, hatch, process: Some(process), _line: line, restarts_left: RESTARTS })
    }

    /// Starts it again if it has ended.
    pub fn look_after(&mut self) {
        let Some(process) = self.process else { return };
        if !matches!(news(process), Ok(News::Exited(_) | News::Killed(_)) | Err(_)) {
            return;
        }
        self.process = None;
        if self.restarts_left > 0 {
            self.restarts_left -= 1;
            match start(&self.control, &self.lifeline) {
                Ok((process, line)) => (self.process, self._line) = (Some(process), line),
                Err(error) => say::line(format_args!(
                    "the run's keeper was killed and cannot be started again ({error}): the program's children would outlive pager's own death"
                )),
            }
        }
    }

    /// Its process, if there is one.
    pub fn process(&self) -> Option<Pid> {
        self.process
    }

    /// Has it end. Processes that are left of the run go on.
    pub fn dismiss(&self) {
        if let Err(error) = self.lifeline.let_go(&self.hatch) {
            say::line(format_args!(
                "what the program left running ends with pager: it cannot be let go ({error})"
            ));
        }
        self.end();
    }

    fn end(&self) {
        if let Some(process) = self.process {
            let _ = kill(process, Signal::SIGKILL);
        }
    }
}

/// Does what the keeper would do, for the run of `control`.
///
/// # Errors
///
/// What the kernel said.
pub fn end(control: &ControlFile) -> io::Result<()> {
    control.mark().map(|mark| end_run(&mark, control))
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
        if let Some(process) = self.process {
            let _ = waitpid(process, None);
        }
    }
}

fn start(control: &ControlFile, lifeline: &Lifeline) -> io::Result<(Pid, OwnedFd)> {
    let mark = control.mark()?;
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let process =
        sys::keeper::fork_apart(c"pager-keeper", reader, lifeline.writer(), || end_run(&mark, control))?;
    Ok((process, writer))
}

/// Kills all processes of the run until there is none.
fn end_run(mark: &Mark, control: &Control) {
    // A child that is forked from now on, and that no look may find, ends by itself.
    control.settings.supervisor.store(0, SeqCst);
    let started = Instant::now();
    while started.elapsed() < PATIENCE && kill_members(mark, control) > 0 {
        std::thread::sleep(PAUSE);
    }
}

/// Kills each process of the run that runs; how many there were.
fn kill_members(mark: &Mark, control: &Control) -> usize {
    let all: Vec<Stat> = processes().collect();
    let listed: HashSet<u32> = control.processes.iter().map(|process| process.pid.load(SeqCst)).collect();
    let is_member = |pid| match mark.membership(pid) {
        Membership::Member => true,
        Membership::Hidden => listed.contains(&pid),
        Membership::Stranger => listed.contains(&pid) && mark.is_open_in_a_thread(pid),
    };
    let members = all.iter().filter(|seen| is_member(seen.pid)).map(|seen| seen.pid).collect();
    let condemned = with_descendants(&all, members);
    all.iter().filter(|seen| condemned.contains(&seen.pid) && kill_seen(seen)).count()
}

/// Kills a process if it is still the one that was seen.
fn kill_seen(seen: &Stat) -> bool {
    let Ok(handle) = Handle::open(seen.pid) else { return false };
    look_at(seen.pid).is_some_and(|now| now.started == seen.started) && handle.kill().is_ok()
}

/// `members` and all that descends from them: programs that run natively have no mark.
fn with_descendants(all: &[Stat], members: HashSet<u32>) -> HashSet<u32> {
    let mut found = members;
    loop {
        let before = found.len();
        found.extend(
            all.iter().filter(|seen| found.contains(&seen.parent)).map(|seen| seen.pid).collect::<Vec<_>>(),
        );
        if found.len() == before {
            found.remove(&std::process::id());
            return found;
        }
    }
}

/// The processes that run, but for this one.
fn processes() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| *pid != std::process::id()).filter_map(look_at)
}

/// `None` for one that has ended.
fn look_at(pid: u32) -> Option<Stat> {
    Stat::of(pid).filter(|stat| !stat.has_ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: u32, parent: u32) -> Stat {
        Stat { pid, parent, started: 0, used: 0, has_ended: false }
    }

    #[test]
    fn children_of_members_belong_to_the_run_and_their_parents_do_not() {
        let all = [seen(10, 1), seen(11, 10), seen(12, 11), seen(13, 12), seen(14, 1)];
        assert_eq!(with_descendants(&all, HashSet::from([11])), HashSet::from([11, 12, 13]));
        assert_eq!(with_descendants(&all, HashSet::new()), HashSet::new());
    }
}
