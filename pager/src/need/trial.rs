//! One run of the program: natively, or paged in a `pager run` of its own.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use thiserror::Error;

/// Time between two looks at whether a run has ended.
const POLL: Duration = Duration::from_micros(500);
/// How much of what a failed run said is shown, in bytes.
const SHOWN_BYTES: usize = 2000;

/// A program that is run again and again.
pub struct Program {
    command: Vec<OsString>,
    options: Vec<OsString>,
    input: Option<PathBuf>,
    scratch: TempDir,
    interrupted: Arc<AtomicBool>,
}

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Without the pager.
    Native,
    /// By `pager run`.
    Paged {
        /// `--resident`, in pages.
        cap_pages: Option<u64>,
        /// `--record`.
        record: Option<&'a Path>,
    },
}

/// How a run went.
#[derive(Clone, PartialEq, Debug)]
pub struct Trial {
    /// From start to end.
    pub elapsed: Duration,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
    /// The pager's report, of a paged run that came to its end.
    pub report: Option<Value>,
    failure: Option<(ExitStatus, String)>,
}

/// Why a run says nothing.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The program could not be started, or its files not be made.
    #[error("{what} cannot be run")]
    Start {
        /// Which program.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// It ended with something else than 0.
    #[error(
        "the program does not end well: {status}{said}; it has to be one that can be run again and again"
    )]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// The pager told nothing.
    #[error("`pager run` gave no report")]
    NoReport,
    /// Somebody pressed Ctrl-C.
    #[error("interrupted before anything was known")]
    Interrupted,
}

impl Trial {
    /// How long it took.
    ///
    /// # Errors
    ///
    /// If it did not end well.
    pub fn checked(self) -> Result<Duration, TrialError> {
        match self.failure {
            None => Ok(self.elapsed),
            Some((status, said)) => {
                let said = if said.is_empty() { said } else { format!("; it said: {}", said.trim_end()) };
                Err(TrialError::Failed { status, said })
            }
        }
    }
}

impl Program {
    /// The program of a command line, to be run with these options of `pager run`. Standard input is kept, so
    /// that each run reads the same; a terminal counts as empty.
    ///
    /// # Errors
    ///
    /// If there is no room for temporary files.
    pub fn new(command: &[OsString], options: Vec<OsString>) -> Result<Program, TrialError> {
        let failed = |source| TrialError::Start { what: "the program".to_owned(), source };
        let scratch = tempfile::Builder::new().prefix("pager-need-").tempdir().map_err(failed)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
        {
            signal_hook::flag::register(signal, interrupted.clone()).map_err(failed)?;
        }
        let input = keep_input(scratch.path()).map_err(failed)?;
        Ok(Program { command: command.to_vec(), options, input, scratch, interrupted })
    }

    /// A directory for files of ours, gone with `self`.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Whether somebody wants no more runs.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// Runs it, for at most `limit`.
    ///
    /// # Errors
    ///
    /// If it could not be started.
    pub fn run(&self, mode: Mode, limit: Option<Duration>) -> Result<Trial, TrialError> {
        let (stats, said) = (self.scratch().join("stats"), self.scratch().join("said"));
        let mut command = self.command(mode, &stats).map_err(|source| self.cannot(source))?;
        let stderr = File::create(&said).map_err(|source| self.cannot(source))?;
        let stdin = match &self.input {
            Some(path) => File::open(path).map(Stdio::from).map_err(|source| self.cannot(source))?,
            None => Stdio::null(),
        };
        command.stdin(stdin).stdout(Stdio::null()).stderr(stderr).process_group(0);
        let started = Instant::now();
        let mut child = command.spawn().map_err(|source| self.cannot(source))?;
        let (status, timed_out) =
            self.wait(&mut child, started, limit).map_err(|source| self.cannot(source))?;
        let elapsed = started.elapsed();
        if self.interrupted() {
            return Err(TrialError::Interrupted);
        }
        let text = || tail(&fs::read(&said).unwrap_or_default());
        Ok(Trial {
            elapsed,
            timed_out,
            report: fs::read(&stats)
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok())
                .filter(|_| !timed_out),
            failure: (!status.success()).then(|| (status, text())),
        })
    }

    fn cannot(&self, source: io::Error) -> TrialError {
        TrialError::Start { what: self.command[0].to_string_lossy().into_owned(), source }
    }

    fn command(&self, mode: Mode, stats: &Path) -> io::Result<Command> {
        let _ = fs::remove_file(stats);
        let Mode::Paged { cap_pages, record } = mode else {
            let mut command = Command::new(&self.command[0]);
            command.args(&self.command[1..]);
            return Ok(command);
        };
        let mut command = Command::new(env::current_exe()?);
        command.arg("run").arg("--stats").arg(stats).args(&self.options);
        if let Some(pages) = cap_pages {
            command.arg("--resident").arg((pages * crate::size::PAGE_BYTES).to_string());
        }
        if let Some(path) = record {
            command.arg("--record").arg(path);
        }
        command.arg("--").args(&self.command);
        Ok(command)
    }

    /// Waits for the end, and brings it about when it takes too long or is not wanted any more.
    fn wait(
        &self,
        child: &mut Child,
        started: Instant,
        limit: Option<Duration>,
    ) -> io::Result<(ExitStatus, bool)> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok((status, false));
            }
            let late = limit.is_some_and(|limit| started.elapsed() > limit);
            if late || self.interrupted() {
                // The group is the child's own. What a killed pager leaves, its keeper ends.
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
                return Ok((child.wait()?, late));
            }
            thread::sleep(POLL.max(started.elapsed() / 1000).min(Duration::from_millis(10)));
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        f.write_str(&words.join(" "))
    }
}

/// A file with what standard input has to give; `None` for nothing.
fn keep_input(scratch: &Path) -> io::Result<Option<PathBuf>> {
    let mut stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut own = File::from(stdin.as_fd().try_clone_to_owned()?);
    let kept = scratch.join("input");
    let mut copy = File::create(&kept)?;
    let begun_at = own.stream_position().ok();
    io::copy(&mut stdin, &mut copy)?;
    copy.flush()?;
    if let Some(at) = begun_at {
        let _ = own.seek(io::SeekFrom::Start(at));
    }
    Ok(Some(kept))
}

fn tail(said: &[u8]) -> String {
    String::from_utf8_lossy(&said[said.len().saturating_sub(SHOWN_BYTES)..]).into_owned()
}

impl Trial {
    /// The status with which it failed, if it did and not because it took too long.
    pub fn failed(&self) -> Option<String> {
        self.failure.as_ref().filter(|_| !self.timed_out).map(|(status, _)| match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => status.to_string(),
        })
    }
}
