//! Waiting for the first process: signals go through, stops are shared, reports are given when asked for.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::Pid;

use crate::ending::{Ending, GRACE, Origin, Verdict};
use crate::outcome::Outcome;
use crate::say;
use crate::sys::wait::{News, news};
use crate::sys::{disposition, signal};

/// Signals that go on to the program when a process sends them to us, as the first process of a container
/// passes them on, and the real-time ones besides (systemd is told to end by one). Those that the terminal
/// sends reach the program anyway, by its group.
const FORWARDED: [i32; 12] = [
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGURG,
    libc::SIGSTKFLT,
];
/// Signals of timers, which last through exec: what was set before `pager` was executed is the program's, and
/// the kernel sends it to us.
const TIMERS: [i32; 3] = [libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF];
/// Signals that are ours to act on, or must not stop us while we write in the background.
const OWN: [i32; 4] = [libc::SIGCHLD, libc::SIGUSR1, libc::SIGTTIN, libc::SIGTTOU];
/// `si_code` of a signal that came by sigqueue(3), with a value.
const SI_QUEUE: i32 = -1;
/// `si_code` of a signal that the kernel sent, such as the terminal's.
const SI_KERNEL: i32 = 0x80;

/// The signals of this process, taken over: they are read, and act no more by themselves.
pub struct Signals {
    fd: SignalFd,
    /// Signal mask that this process was started with, and the program gets.
    pub inherited: SigSet,
}

/// What is asked of others while the program runs.
pub struct Duties<Insider, Report, LookAfter, EndRun> {
    /// Says whether a process belongs to the run.
    pub insider: Insider,
    /// Gives a report.
    pub report: Report,
    /// A child changed its state, perhaps not the program.
    pub look_after: LookAfter,
    /// Kills every process of the run.
    pub end_run: EndRun,
}

/// What has to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// The first process changed its state.
    Look,
    /// Somebody wants a report.
    Report,
    /// To be sent to the first process.
    Forward(i32),
    /// Meant for others.
    Nothing,
}

impl Signals {
    /// Blocks the signals and opens a descriptor for them. Before any thread is started, so that all have
    /// them blocked.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn take_over() -> io::Result<Signals> {
        let ours = signal::set(FORWARDED.into_iter().chain(TIMERS).chain(OWN).chain(real_time()));
        let inherited = ours.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // A parent that ignores its children would leave us without a status to pass on.
        disposition::reset(Signal::SIGCHLD)?;
        let fd = SignalFd::with_flags(&ours, SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { fd, inherited })
    }

    /// The next signal; `None` where none comes before `deadline`.
    fn next(&self, deadline: Option<Instant>) -> io::Result<Option<siginfo>> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // Rounded up: a wait of no time at all would be gone through again and again.
            let wait = left.map_or(Ok(PollTimeout::NONE), |left| PollTimeout::try_from(left.as_millis() + 1));
            match poll(
                &mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)],
                wait.unwrap_or(PollTimeout::MAX),
            ) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            match self.fd.read_signal() {
                Ok(Some(info)) => return Ok(Some(info)),
                Ok(None) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits until `pid` has ended, or was told to and did not, and was killed with all of the run.
    ///
    /// # Errors
    ///
    /// What the kernel said, if signals cannot be read or there is no such child.
    pub fn supervise(
        &self,
        pid: Pid,
        mut duties: Duties<impl Fn(u32) -> bool, impl FnMut(), impl FnMut(), impl FnMut()>,
    ) -> io::Result<Outcome> {
        let mut ending = Ending::default();
        loop {
            let Some(info) = self.next(ending.deadline())? else {
                if ending.is_over() {
                    return Ok(Outcome::signal(libc::SIGKILL));
                }
                say::line(format_args!(
                    "the program goes on {} s after SIGTERM: the run is killed",
                    GRACE.as_secs()
                ));
                (duties.end_run)();
                ending.note_killed(Instant::now());
                continue;
            };
            let origin = origin(&info, &duties.insider);
            if !ending.is_over() && verdict(&mut ending, info.ssi_signo, origin) == Verdict::End {
                (duties.end_run)();
                ending.note_killed(Instant::now());
                continue;
            }
            match step(info.ssi_signo, origin) {
                Step::Look => {
                    if let Some(outcome) = look(pid)? {
                        return Ok(outcome);
                    }
                    (duties.look_after)();
                }
                Step::Report => (duties.report)(),
                Step::Forward(number) if info.ssi_code == SI_QUEUE => {
                    signal::queue(pid.as_raw(), number, info.ssi_ptr);
                }
                Step::Forward(number) => signal::send(pid.as_raw(), number),
                Step::Nothing => {}
            }
        }
    }
}

fn origin(info: &siginfo, insider: impl Fn(u32) -> bool) -> Origin {
    match info.ssi_code {
        SI_KERNEL => Origin::Kernel,
        _ if insider(info.ssi_pid) => Origin::Insider,
        _ => Origin::Outsider,
    }
}

/// What `signal` means for the run as a whole.
fn verdict(ending: &mut Ending, signal: u32, origin: Origin) -> Verdict {
    Signal::try_from(signal as i32)
        .map_or(Verdict::GoOn, |signal| ending.note(signal, origin, Instant::now()))
}

/// What `signal` asks for.
fn step(signal: u32, origin: Origin) -> Step {
    match signal as i32 {
        libc::SIGCHLD => Step::Look,
        libc::SIGUSR1 => Step::Report,
        timer if origin != Origin::Insider && TIMERS.contains(&timer) => Step::Forward(timer),
        signal if origin == Origin::Outsider && is_forwarded(signal) => Step::Forward(signal),
        _ => Step::Nothing,
    }
}

fn is_forwarded(signal: i32) -> bool {
    FORWARDED.contains(&signal) || real_time().contains(&signal)
}

/// The real-time signals that the C library leaves to programs.
fn real_time() -> std::ops::RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Takes all news of `pid`; its end, if that is among them.
fn look(pid: Pid) -> io::Result<Option<Outcome>> {
    let mut stopped = None;
    loop {
        match news(pid)? {
            News::Exited(code) => return Ok(Some(Outcome::code(code))),
            News::Killed(signal) => return Ok(Some(Outcome::signal(signal))),
            News::Stopped(signal) => stopped = Some(signal),
            News::Continued => stopped = None,
            News::None => break,
        }
    }
    stopped.into_iter().for_each(share_stop);
    Ok(None)
}

/// Stops this process as `signal` stopped the program, until the shell continues both; the SIGCONT that did
/// it is then read, and forwarded.
pub fn share_stop(signal: i32) {
    if concerns_our_shell(signal) {
        let _ = raise(Signal::SIGSTOP);
    }
}

/// Whether a stop of the program is one of job control, which the shell that started us must see.
///
/// SIGSTOP is that only on a terminal (`suspend` in a shell): elsewhere somebody stopped the program by its
/// number, and will continue it by its number, which nobody would tell us.
fn concerns_our_shell(signal: i32) -> bool {
    match signal {
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => true,
        _ => File::open("/dev/tty").is_ok(),
    }
}

/// Ends this process as the program ended: with its code, or by its signal without a core dump. Does not
/// return.
pub fn end_as(outcome: Outcome) -> ! {
    match outcome {
        Outcome::Code { code } => std::process::exit(code.into()),
        Outcome::Signal { signal, .. } => {
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
            disposition::die_of(signal);
            // Still here: the first process of a PID namespace does not die of signals.
            std::process::exit(128 + signal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step_of(signal: i32, origin: Origin) -> Step {
        step(signal.unsigned_abs(), origin)
    }

    #[test]
    fn only_what_was_meant_for_us_alone_goes_on() {
        assert_eq!(step_of(libc::SIGINT, Origin::Kernel), Step::Nothing);
        assert_eq!(step_of(libc::SIGTERM, Origin::Insider), Step::Nothing);
        for signal in FORWARDED.into_iter().chain(real_time()).chain(TIMERS) {
            assert_eq!(step_of(signal, Origin::Outsider), Step::Forward(signal));
        }
    }

    #[test]
    fn a_timer_that_was_set_before_is_the_programs() {
        for signal in TIMERS {
            assert_eq!(step_of(signal, Origin::Kernel), Step::Forward(signal));
            assert_eq!(step_of(signal, Origin::Insider), Step::Nothing);
        }
    }

    #[test]
    fn our_own_signals_are_not_forwarded() {
        assert_eq!(step_of(libc::SIGUSR1, Origin::Outsider), Step::Report);
        assert_eq!(step_of(libc::SIGCHLD, Origin::Insider), Step::Look);
        assert_eq!(step_of(libc::SIGTTOU, Origin::Outsider), Step::Nothing);
    }
}
