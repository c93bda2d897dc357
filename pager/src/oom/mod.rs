//! `pager oom`: the smallest memory in which a program still ends, without swap, and what it dies of below it.
//!
//! What nothing else holds has to stay: with no swap file to speak of, a run is over once that does not fit the cap,
//! as in a container with `memory.max` and no swap. Text and unchanged pages of files go and come back, so close to
//! the limit a program is slow; one that takes longer than `--patience` counts as one that does not end.

mod answer;

use std::time::Duration;

use thiserror::Error;

use self::answer::{Answer, End, Try};
use crate::cli::OomArgs;
use crate::need::progress::Progress;
use crate::need::search::Bracket;
use crate::need::trial::{Mode, Program, TrialError};
use crate::say;
use crate::size::ByteSize;
use crate::swap::LEAST_PAGES;

/// Added to the time that is waited for: starting anything may take so long.
const SLACK: Duration = Duration::from_millis(300);
/// Runs at the answer, the one that found it included: chance must not decide.
const CONFIRMATIONS: usize = 3;
/// Tries beyond those that a bracket needs, where runs at one cap end now so and now so.
const MOST_TRIES: usize = 60;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum OomError {
    /// The program cannot be run.
    #[error(transparent)]
    Trial(#[from] TrialError),
}

/// Finds the memory, and tells it.
///
/// # Errors
///
/// If the program cannot be run, or does not end well with all the memory it wants.
pub fn oom(args: &OomArgs) -> Result<(), OomError> {
    let least = ByteSize::of_pages(LEAST_PAGES).to_string();
    let options = ["--policy", args.policy.as_str(), "--swap-size", &least].map(Into::into);
    let program = Program::new(&args.command, options.into())?;
    let progress = Progress::new();
    let answer = search(&program, args, &progress)?;
    progress.clear();
    say::to_stdout(&if args.json { answer.to_json() } else { answer.to_text() });
    Ok(())
}

fn search(program: &Program, args: &OomArgs, progress: &Progress) -> Result<Answer, OomError> {
    progress.say("paged, without a cap");
    let whole = program.run(Mode::Paged { cap_pages: None, record: None }, None)?;
    let peak_pages = answer::peak_pages(whole.report.as_ref().ok_or(TrialError::NoReport)?);
    let elapsed = whole.checked()?;
    let patience = elapsed.mul_f64(args.patience.get().into()) + SLACK;
    let mut tries: Vec<Try> = Vec::new();
    while tries.len() < MOST_TRIES {
        let bracket = Bracket::of(peak_pages, tries.iter().map(|one| (one.cap_pages, one.end == End::Well)));
        let cap = if !bracket.is_tight() {
            bracket.middle()
        } else if bracket.passes < peak_pages && times(&tries, bracket.passes) < CONFIRMATIONS {
            bracket.passes
        } else {
            break;
        };
        progress.say(&format!("in {}", ByteSize::of_pages(cap)));
        match program.run(Mode::Paged { cap_pages: Some(cap), record: None }, Some(patience)) {
            Ok(trial) => tries.push(Try::of(cap, &trial)),
            Err(TrialError::Interrupted) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Answer {
        command: program.to_string(),
        peak_pages,
        elapsed,
        tries,
        interrupted: program.interrupted(),
    })
}

fn times(tries: &[Try], cap: u64) -> usize {
    tries.iter().filter(|one| one.cap_pages == cap).count()
}
