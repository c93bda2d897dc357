//! When a run that was told to end is ended for good.
//!
//! A program may take its time over SIGTERM or an interrupt, or take no notice: `unshare --fork` blocks both
//! and waits for its child. Who told it a second time, or waited long enough, wants it gone. This decides, on
//! times that it is given; killing is [`crate::keeper`]'s.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

/// How long after SIGTERM a run may go on.
pub const GRACE: Duration = Duration::from_secs(10);
/// Two interrupts from the terminal within this time end the run. Programs that are talked to get single ones
/// for hours.
pub const TWICE: Duration = Duration::from_secs(2);

/// Who sent a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The kernel, mostly for a key on the terminal: the whole group got it.
    Kernel,
    /// A process of the run, which meant its group (`kill 0`) and not us: the program got it too.
    Insider,
    /// Somebody who took us for the program.
    Outsider,
}

/// What a signal means for the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on: the signal is the program's business.
    GoOn,
    /// All its processes are to be killed.
    End,
}

/// What the run was told so far.
#[derive(Default, Debug)]
pub struct Ending {
    told: Option<Instant>,
    interrupted: Option<Instant>,
    killed: Option<Instant>,
}

impl Ending {
    /// Takes note of `signal`, which came at `now`.
    pub fn note(&mut self, signal: Signal, origin: Origin, now: Instant) -> Verdict {
        let (before, most) = match (signal, origin) {
            (_, Origin::Insider) | (Signal::SIGTERM, Origin::Kernel) => return Verdict::GoOn,
            (Signal::SIGTERM, Origin::Outsider) => (&mut self.told, GRACE),
            (Signal::SIGINT, Origin::Kernel) => (&mut self.interrupted, TWICE),
            (Signal::SIGINT, Origin::Outsider) => (&mut self.interrupted, GRACE),
            _ => return Verdict::GoOn,
        };
        match *before {
            Some(at) if now.saturating_duration_since(at) <= most => Verdict::End,
            _ => {
                *before = Some(now);
                Verdict::GoOn
            }
        }
    }

    /// All processes were killed at `now`.
    pub fn note_killed(&mut self, now: Instant) {
        self.killed = Some(now);
    }

    /// Whether they were.
    pub fn is_over(&self) -> bool {
        self.killed.is_some()
    }

    /// When something has to be done though no signal comes: the run ended, or after that no longer waited
    /// for.
    pub fn deadline(&self) -> Option<Instant> {
        self.killed.or(self.told).map(|at| at + GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn after(signals: &[(Signal, Origin, u32)]) -> (Verdict, Ending, Instant) {
        let begin = Instant::now();
        let mut ending = Ending::default();
        let note = |_, &(signal, origin, second)| ending.note(signal, origin, begin + S * second);
        let last = signals.iter().fold(Verdict::GoOn, note);
        (last, ending, begin)
    }

    #[test]
    fn a_second_sigterm_ends_a_run_and_so_do_ten_seconds() {
        use Signal::SIGTERM;
        let (verdict, ending, begin) = after(&[(SIGTERM, Origin::Outsider, 1)]);
        assert_eq!((verdict, ending.deadline()), (Verdict::GoOn, Some(begin + 11 * S)));
        assert_eq!(after(&[(SIGTERM, Origin::Outsider, 1), (SIGTERM, Origin::Outsider, 2)]).0, Verdict::End);
    }

    #[test]
    fn two_interrupts_in_a_row_end_a_run_and_two_far_apart_do_not() {
        use Signal::SIGINT;
        let (verdict, ending, _) = after(&[(SIGINT, Origin::Kernel, 1)]);
        assert_eq!(
            (verdict, ending.deadline()),
            (Verdict::GoOn, None),
            "who is talked to is not killed for one"
        );
        assert_eq!(after(&[(SIGINT, Origin::Kernel, 1), (SIGINT, Origin::Kernel, 2)]).0, Verdict::End);
        assert_eq!(after(&[(SIGINT, Origin::Kernel, 1), (SIGINT, Origin::Kernel, 5)]).0, Verdict::GoOn);
        assert_eq!(after(&[(SIGINT, Origin::Outsider, 1), (SIGINT, Origin::Outsider, 5)]).0, Verdict::End);
    }

    #[test]
    fn what_a_process_of_the_run_sends_ends_nothing() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let (verdict, ending, _) = after(&[(signal, Origin::Insider, 1), (signal, Origin::Insider, 1)]);
            assert_eq!((verdict, ending.deadline()), (Verdict::GoOn, None));
        }
        assert_eq!(
            after(&[(Signal::SIGHUP, Origin::Outsider, 1), (Signal::SIGHUP, Origin::Outsider, 1)]).0,
            Verdict::GoOn
        );
    }

    #[test]
    fn what_was_killed_is_not_waited_for_for_ever() {
        let mut ending = Ending::default();
        let now = Instant::now();
        ending.note_killed(now);
        assert_eq!((ending.is_over(), ending.deadline()), (true, Some(now + GRACE)));
    }
}
