//! Running a program to its end, or to the end of its time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::processes;
use crate::resident::{self, ResidentPeaks, ResidentSampler};
use crate::scratch::Scratch;

/// Whether resident memory is sampled while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Nothing is sampled.
    Off,
    /// Often enough to see every peak of a program that is held under a cap.
    Fine,
    /// Seldom enough not to slow a large program: one sample of 200 MiB takes milliseconds, with its mappings
    /// locked.
    Coarse,
}

/// A program to run: what a shell would be told, and how long it may take.
#[derive(Debug, Clone)]
pub struct Run {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Option<PathBuf>,
    limit: Duration,
    sampling: Sampling,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// Not at all within its time: it was killed.
    Overdue,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// All that it wrote to standard output.
    pub stdout: Vec<u8>,
    /// All that it wrote to standard error.
    pub stderr: Vec<u8>,
    /// From start to end.
    pub elapsed: Duration,
    /// What it and its descendants held, when that was sampled.
    pub resident: ResidentPeaks,
}

impl Run {
    /// `program` without arguments, ten seconds, nothing on standard input.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: None,
            limit: Duration::from_secs(10),
            sampling: Sampling::Off,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment, over what is inherited.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it in `folder`.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Gives it the file `input` on standard input.
    #[must_use]
    pub fn input(mut self, input: &Path) -> Self {
        self.input = Some(input.to_owned());
        self
    }

    /// Kills it and its descendants after `limit`.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Samples its resident memory, or does not.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Runs it and waits.
    ///
    /// # Panics
    ///
    /// When it cannot be started at all or its output cannot be kept.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let scratch = Scratch::new("run");
        let (stdout, stderr) = (scratch.join("stdout"), scratch.join("stderr"));
        let started = Instant::now();
        let mut child = self
            .start(&stdout, &stderr)
            .unwrap_or_else(|error| panic!("{:?} does not start: {error}", self.program));
        let pid = i32::try_from(child.id()).expect("a process number is an i32");
        let sampler = match self.sampling {
            Sampling::Off => None,
            Sampling::Fine => Some(ResidentSampler::start(pid, resident::FINE)),
            Sampling::Coarse => Some(ResidentSampler::start(pid, resident::COARSE)),
        };
        let end = wait(&mut child, pid, self.limit);
        let elapsed = started.elapsed();
        let resident = sampler.map(ResidentSampler::finish).unwrap_or_default();
        let read = |path: &Path| std::fs::read(path).expect("what a program wrote can be read back");
        Outcome { end, stdout: read(&stdout), stderr: read(&stderr), elapsed, resident }
    }

    /// Output goes to files: a pipe that nobody empties would stop the program.
    fn start(&self, stdout: &Path, stderr: &Path) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdout(File::create(stdout)?).stderr(File::create(stderr)?);
        command.stdin(match &self.input {
            Some(path) => Stdio::from(File::open(path)?),
            None => Stdio::null(),
        });
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.process_group(0).spawn()
    }
}

impl Outcome {
    /// Standard error as text, for messages.
    #[must_use]
    pub fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

fn wait(child: &mut Child, pid: i32, limit: Duration) -> End {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return end_of(status);
        }
        if Instant::now() >= end {
            processes::kill_tree(pid);
            child.wait().expect("a killed child can be waited for");
            return End::Overdue;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => unreachable!("a program that ended has a code or a signal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_code_and_signal_are_told_apart() {
        let outcome = Run::new("/bin/sh").args(["-c", "echo out; echo err >&2; exit 3"]).outcome();
        assert_eq!(
            (outcome.end, outcome.stdout.as_slice(), outcome.stderr.as_slice()),
            (End::Code(3), &b"out\n"[..], &b"err\n"[..])
        );
        assert_eq!(Run::new("/bin/sh").args(["-c", "kill -TERM $$"]).outcome().end, End::Signal(15));
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let run = Run::new("/bin/sh").args(["-c", "sleep 1234 & wait"]).limit(Duration::from_millis(200));
        assert_eq!(run.outcome().end, End::Overdue);
        let asleep = |process: &processes::Process| {
            std::fs::read(format!("/proc/{}/cmdline", process.pid))
                .is_ok_and(|line| line == b"sleep\x001234\0")
        };
        assert!(processes::wait_until(Duration::from_secs(2), || !processes::all().iter().any(asleep)));
    }
}
