//! `pager run`: everything in its order.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pager_core::shared::FillMode;
use thiserror::Error;

use crate::bequests::Bequests;
use crate::cli::RunArgs;
use crate::colour::Colour;
use crate::doctor::{self, MissingFeature};
use crate::failure::{Failure, Weight};
use crate::hatch::Hatch;
use crate::keeper::{self, Keeper};
use crate::launch::{INTERNAL, Launch, LaunchError, Running};
use crate::lifeline::Lifeline;
use crate::outcome::Outcome;
use crate::plan::{Plan, PlanError, Verbosity};
use crate::report::summary::Manner;
use crate::report::target::{Occasion, Writer};
use crate::report::{Report, StatsTarget};
use crate::sampler::{self, Sampler};
use crate::say;
use crate::size::ByteSize;
use crate::supervise::{Duties, Signals};
use crate::sys::wait::reap_others;
use crate::trace::recorder::{Recorder, Target};

/// Why a run did not come to its end.
#[derive(Debug, Error)]
pub enum RunError {
    /// A wish that cannot be met.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The kernel is too old or restricted.
    #[error(transparent)]
    Feature(#[from] MissingFeature),
    /// The report has nowhere to go.
    #[error("--stats {target}: the file cannot be written")]
    Stats {
        /// As given.
        target: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The trace has nowhere to go.
    #[error("--record {path}: the file cannot be written", path = path.display())]
    Record {
        /// As given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing was started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Nothing would end the program's processes if this one were killed.
    #[error("the run's keeper cannot be started")]
    Keeper(#[source] io::Error),
    /// What the processes are to inherit cannot be opened.
    #[error("the run's pipe and socket cannot be opened; raise `ulimit -n`")]
    Descriptors(#[source] io::Error),
    /// The program runs no more, and how it ended is not known.
    #[error("the program cannot be waited for")]
    Supervise(#[source] io::Error),
}

impl RunError {
    /// The exit status that says this.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Plan(_) => 2,
            RunError::Launch(error) => error.exit_code(),
            RunError::Feature(_)
            | RunError::Stats { .. }
            | RunError::Record { .. }
            | RunError::Keeper(_)
            | RunError::Descriptors(_) => 1,
            RunError::Supervise(_) => INTERNAL,
        }
    }
}

/// Runs the program, reports, and says how it ended.
///
/// # Errors
///
/// If it could not be started or waited for.
pub fn run(args: &RunArgs) -> Result<Outcome, RunError> {
    let plan = fitting(Plan::new(args)?)?;
    let lifeline = Lifeline::new().map_err(RunError::Descriptors)?;
    let hatch = Arc::new(Hatch::new().map_err(RunError::Descriptors)?);
    let launch = Launch::prepare(args, &plan, &lifeline, &hatch)?;
    let manner = Manner { record: args.record.clone(), colour: Colour::of(&io::stderr()) };
    let mut writer = Writer::open(&args.stats, manner)
        .map_err(|source| RunError::Stats { target: name(&args.stats), source })?;
    let record = args.record.as_deref().map(|path| record_target(path, args.record_limit)).transpose()?;
    let signals = Signals::take_over().map_err(RunError::Supervise)?;
    let mut keeper = Keeper::start(launch.control(), lifeline, hatch.clone()).map_err(RunError::Keeper)?;
    let running = launch.start(signals.inherited)?;
    let bequests = Bequests::new(running.control.clone(), hatch);
    supervise(&running, &signals, bequests, &mut keeper, &mut writer, record).map_err(|source| {
        let _ = kill(running.pid, Signal::SIGKILL);
        let _ = keeper::end(&running.control);
        RunError::Supervise(source)
    })
}

/// The plan on this kernel.
fn fitting(mut plan: Plan) -> Result<Plan, MissingFeature> {
    doctor::require(plan.engine)?;
    if plan.fill == FillMode::MapThrough && !doctor::maps_images_through() {
        plan.fill = FillMode::Read;
        if plan.verbosity == Verbosity::Events {
            say::line("this kernel has no guard markers on files: image pages are read, some at a time");
        }
    }
    Ok(plan)
}

fn record_target(path: &Path, limit: ByteSize) -> Result<Target, RunError> {
    Target::create(path, limit).map_err(|source| RunError::Record { path: path.to_owned(), source })
}

fn name(target: &StatsTarget) -> String {
    match target {
        StatsTarget::File(path) => path.display().to_string(),
        _ => String::new(),
    }
}

fn supervise(
    running: &Running,
    signals: &Signals,
    bequests: Bequests,
    keeper: &mut Keeper,
    writer: &mut Writer,
    record: Option<Target>,
) -> io::Result<Outcome> {
    let started = Instant::now();
    let recorder = record
        .map(|target| Recorder::start(running.control.clone(), &running.subject, target))
        .transpose()?;
    let sampler = Sampler::start(running.control.clone(), bequests).map_err(|error| {
        io::Error::new(error.kind(), format!("no thread can be started: {error}; {}", doctor::NO_THREADS))
    })?;
    let report =
        |exit| Report::new(&running.subject, &running.control, &sampler.residency(), started.elapsed(), exit);
    let duties = Duties {
        insider: |pid| pid == running.subject.pid || sampler::is_alive(&running.control, pid),
        report: || give(writer, &report(None), Occasion::Asked),
        look_after: || {
            keeper.look_after();
            if std::process::id() == 1 {
                let own: Vec<Pid> = keeper.process().into_iter().chain([running.pid]).collect();
                reap_others(&own);
            }
        },
        end_run: || {
            if let Err(error) = keeper::end(&running.control) {
                say::line(format_args!("the run's processes cannot be looked for: {error}"));
                let _ = kill(running.pid, Signal::SIGKILL);
            }
        },
    };
    let outcome = signals.supervise(running.pid, duties)?;
    // Now, so that it has ended when we do.
    keeper.dismiss();
    let report = report(Some(outcome));
    recorder.into_iter().for_each(|recorder| recorder.finish(&report));
    finish(writer, &report);
    Ok(outcome)
}

/// The failure, if there was one, in a line of its own; then the report, unless the program never ran.
fn finish(writer: &mut Writer, report: &Report) {
    let failure = report.failure.as_ref();
    if let Some(failure) = failure {
        say::line(&failure.message);
    }
    let is_for_people = matches!(writer, Writer::Text | Writer::Summary(_));
    if !(is_for_people && failure.is_some_and(|failure| never_ran(failure, report.pid))) {
        give(writer, report, Occasion::End);
    }
}

fn never_ran(failure: &Failure, pid: u32) -> bool {
    failure.weight == Weight::NotStarted && failure.pid == pid
}

/// A report that cannot be written is no reason to change how the run ends.
fn give(writer: &mut Writer, report: &Report, occasion: Occasion) {
    if let Err(error) = writer.write(report, occasion) {
        say::line(format_args!("the report cannot be written: {error}"));
    }
}
