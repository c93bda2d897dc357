//! `pager need`: the smallest cap at which a program stays within a slowdown.
//!
//! Caps are halved until the program gets too slow; the run that is too slow is recorded, and tells by
//! simulation where between it and the one before the answer lies. That cap is then tried, and the bracket
//! narrowed by trying until it is tight; the answer has been run, more than once. [`trial`] runs the program,
//! [`search`] decides what to try next without running anything, [`answer`] is what is told.

pub mod answer;
pub mod progress;
pub mod search;
pub mod trial;

use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use self::answer::{Answer, Base, Row, Uncapped};
use self::progress::Progress;
use self::search::{Bracket, Slowdown};
use self::trial::{Mode, Program, Trial, TrialError};
use crate::analysis::curve::Recording;
use crate::cap::LEAST_CAP_PAGES;
use crate::cli::{CurvePolicy, NeedArgs};
use crate::say;
use crate::size::ByteSize;
use crate::trace::reader::Trace;

/// Runs of the same kind are repeated until they have taken so long together, or there are this many.
const REPEAT_FOR: Duration = Duration::from_secs(1);
const REPEATS: usize = 5;
/// Runs at the answer, the one that found it included.
const CONFIRMATIONS: usize = 3;
/// Tries for one slowdown after the halving.
const TRIES: usize = 10;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum NeedError {
    /// The program cannot be run.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// Ctrl-C before anything was known.
    #[error("interrupted before anything was known")]
    Interrupted,
}

/// Finds the caps, and tells them.
///
/// # Errors
///
/// If the program cannot be run natively and paged; what goes wrong later only makes the answer less sure.
pub fn need(args: &NeedArgs) -> Result<(), NeedError> {
    let policy = vec!["--policy".into(), args.policy.as_str().into()];
    let program = Program::new(&args.command, policy)?;
    let mut study = Study::begin(&program, args)?;
    study.halve();
    let mut slowdowns = args.slowdown.clone();
    slowdowns.sort_by(|a, b| b.0.total_cmp(&a.0));
    for slowdown in slowdowns {
        study.narrow(slowdown);
    }
    study.progress.clear();
    let answer = study.answer();
    say::to_stdout(&if args.json { answer.to_json() } else { answer.to_text() });
    Ok(())
}

/// What is known so far.
struct Study<'a> {
    program: &'a Program,
    args: &'a NeedArgs,
    native: Duration,
    uncapped: Uncapped,
    /// Median of the runs at each cap, in pages, the largest first.
    rows: Vec<Row>,
    needs: Vec<answer::Need>,
    recording: Option<Recording>,
    progress: Progress,
}

impl<'a> Study<'a> {
    fn begin(program: &'a Program, args: &'a NeedArgs) -> Result<Study<'a>, NeedError> {
        let progress = Progress::new();
        progress.say("natively");
        let native = repeat(|| program.run(Mode::Native, None))?;
        progress.say("paged, without a cap");
        let mut last = None;
        let paged = repeat(|| {
            let trial = program.run(Mode::Paged { cap_pages: None, record: None }, None)?;
            last = trial.report.clone();
            Ok(trial)
        })?;
        let report = last.ok_or(TrialError::NoReport)?;
        let uncapped = Uncapped::of(&report, paged);
        Ok(Study {
            program,
            args,
            native,
            uncapped,
            rows: Vec::new(),
            needs: Vec::new(),
            recording: None,
            progress,
        })
    }

    /// The time that a slowdown is counted from.
    fn base(&self, slowdown: Slowdown) -> Base {
        let within = self.uncapped.elapsed <= slowdown.of(self.native);
        if within { Base::Native(self.native) } else { Base::Uncapped(self.uncapped.elapsed) }
    }

    fn limit(&self, slowdown: Slowdown) -> Duration {
        slowdown.of(self.base(slowdown).time())
    }

    fn largest(&self) -> Slowdown {
        self.args.slowdown.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or(Slowdown(0.25))
    }

    /// Tries half the memory, a quarter, and so on, until that is too slow. The last run leaves its trace.
    fn halve(&mut self) {
        let limit = self.limit(self.largest());
        let mut cap = self.uncapped.peak_pages / 2;
        while cap >= LEAST_CAP_PAGES {
            let Some(elapsed) = self.try_recorded(cap) else { return };
            if elapsed > limit {
                return;
            }
            cap /= 2;
        }
    }

    fn try_recorded(&mut self, cap: u64) -> Option<Duration> {
        let path = self.program.scratch().join("trace");
        let trial = self.try_at(cap, Some(&path))?;
        if let Ok(trace) = Trace::open(&path)
            && !trial.timed_out
        {
            self.recording = Some(Recording::of(&trace));
        }
        Some(trial.elapsed)
    }

    /// Runs at `cap` once; `None` if that cannot be, or nobody wants to know any more.
    fn try_at(&mut self, cap: u64, record: Option<&Path>) -> Option<Trial> {
        if self.program.interrupted() {
            return None;
        }
        self.progress.say(&format!("at {}", ByteSize::of_pages(cap)));
        // Three times the largest slowdown is too slow, and need not be waited for to its end.
        let patience = self.limit(self.largest()) * 3 + Duration::from_secs(1);
        let trial = self.program.run(Mode::Paged { cap_pages: Some(cap), record }, Some(patience)).ok()?;
        if self.program.interrupted() {
            return None;
        }
        match self.rows.iter_mut().find(|row| row.cap_pages == cap) {
            Some(row) => row.add(&trial),
            None => self.rows.push(Row::new(cap, &trial)),
        }
        self.rows.sort_by_key(|row| std::cmp::Reverse(row.cap_pages));
        Some(trial)
    }

    /// Finds the smallest cap within `slowdown`.
    fn narrow(&mut self, slowdown: Slowdown) {
        let limit = self.limit(slowdown);
        let mut guess = self.guess(limit);
        for _ in 0..TRIES {
            let bracket = self.bracket(limit);
            if bracket.is_tight() {
                break;
            }
            let cap = guess.take().filter(|&cap| bracket.holds(cap)).unwrap_or_else(|| bracket.middle());
            if self.try_at(cap, None).is_none() {
                break;
            }
            // Just outside of a right guess lies the other end of a tight bracket.
            guess = Some(self.bracket(limit).beside(cap));
        }
        self.confirm(slowdown, limit);
    }

    fn bracket(&self, limit: Duration) -> Bracket {
        Bracket::of(
            self.uncapped.peak_pages,
            self.rows.iter().map(|row| (row.cap_pages, row.median() <= limit)),
        )
    }

    /// The smallest cap that the recorded run says will do.
    fn guess(&self, limit: Duration) -> Option<u64> {
        let recording = self.recording.as_ref()?;
        let (mut low, mut high) = (recording.cap_pages?, self.uncapped.peak_pages);
        let fits = |cap| {
            let misses = recording.misses(CurvePolicy::live(), cap);
            Duration::from_nanos(recording.costs.elapsed_with(&misses)) <= limit
        };
        while high > low + low / 50 + 1 {
            let middle = low.midpoint(high);
            if fits(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }

    /// Repeats the run at the cap found; where it turns out too slow, a larger one is taken.
    fn confirm(&mut self, slowdown: Slowdown, limit: Duration) {
        let mut cap = self.bracket(limit).passes;
        for _ in 0..CONFIRMATIONS {
            // Without a cap of its own the program was run already.
            while cap < self.uncapped.peak_pages && self.runs_at(cap) < CONFIRMATIONS {
                if self.try_at(cap, None).is_none() {
                    break;
                }
            }
            if self.program.interrupted() || self.median_at(cap).is_none_or(|median| median <= limit) {
                break;
            }
            cap = self.bracket(limit).passes;
        }
        let base = self.base(slowdown);
        let median = self.median_at(cap).unwrap_or(self.uncapped.elapsed);
        let failing = self.bracket(limit).fails;
        self.needs.push(answer::Need::new(slowdown, cap, base, median, self.runs_at(cap), failing));
    }

    fn row(&self, cap: u64) -> Option<&Row> {
        self.rows.iter().find(|row| row.cap_pages == cap)
    }

    fn runs_at(&self, cap: u64) -> usize {
        self.row(cap).map_or(0, |row| row.elapsed.len())
    }

    fn median_at(&self, cap: u64) -> Option<Duration> {
        self.row(cap).map(Row::median)
    }

    fn answer(mut self) -> Answer {
        self.needs.sort_by(|a, b| a.slowdown.0.total_cmp(&b.slowdown.0));
        let predicted = self.recording.as_ref().map(|recording| self.predict(recording)).unwrap_or_default();
        Answer {
            command: self.program.to_string(),
            native: self.native,
            uncapped: self.uncapped,
            rows: self.rows,
            needs: self.needs,
            predicted,
            interrupted: self.program.interrupted(),
        }
    }

    /// What the recorded run says about caps that were not tried, `--caps` of them.
    fn predict(&self, recording: &Recording) -> Vec<answer::Predicted> {
        let (Some(low), high) = (recording.cap_pages, self.uncapped.peak_pages) else { return Vec::new() };
        let steps = self.args.caps.max(2) - 1;
        let cap_at = |step: u64| low + (high.saturating_sub(low)) * step / steps;
        (0..=steps).map(cap_at).map(|cap| answer::Predicted::of(recording, cap)).collect()
    }
}

/// The median of several runs.
fn repeat(mut run: impl FnMut() -> Result<Trial, TrialError>) -> Result<Duration, NeedError> {
    let mut elapsed = Vec::new();
    while elapsed.len() < REPEATS && elapsed.iter().sum::<Duration>() < REPEAT_FOR {
        let trial = run()?;
        elapsed.push(trial.checked()?);
    }
    elapsed.sort_unstable();
    Ok(elapsed[elapsed.len() / 2])
}
