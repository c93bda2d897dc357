//! A program under `pager run`, and its report.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::binaries;
use crate::guests::{self, Link};
use crate::report::Report;
use crate::run::{Outcome, Run};
use crate::scratch::Scratch;

/// The options of `pager run` for one program.
#[derive(Debug, Clone, Default)]
pub struct Paging {
    options: Vec<OsString>,
}

/// A finished run under the pager.
#[derive(Debug)]
pub struct PagedOutcome {
    /// The program's own outcome: the pager passes it on.
    pub outcome: Outcome,
    report: PathBuf,
    _scratch: Scratch,
}

impl Paging {
    /// No cap and a private swap file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this much resident, as `32M`.
    #[must_use]
    pub fn resident(self, cap: &str) -> Self {
        self.option("--resident", cap)
    }

    /// Victims go to `file`.
    #[must_use]
    pub fn swap(self, file: &Path) -> Self {
        self.option("--swap", file)
    }

    /// Interpreter and libraries are looked for under `root` first.
    #[must_use]
    pub fn root(self, root: &Path) -> Self {
        self.option("--root", root)
    }

    /// One page a fault: counts are exact.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.options.push("--exact".into());
        self
    }

    /// Any other option with a value.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.options.extend([name.into(), value.as_ref().to_owned()]);
        self
    }

    /// The command that runs `program` under the pager with the report in `report`; arguments are added to
    /// it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>, report: &Path) -> Run {
        let run = Run::new(binaries::pager()).arg("run").args(&self.options);
        run.arg("--stats").arg(report).arg("--").arg(program)
    }

    /// Runs `program` with what `prepare` adds to the command.
    #[must_use]
    pub fn run(&self, program: impl AsRef<OsStr>, prepare: impl FnOnce(Run) -> Run) -> PagedOutcome {
        let scratch = Scratch::new("paged");
        let report = scratch.join("report.json");
        let outcome = prepare(self.command(program, &report)).outcome();
        PagedOutcome { outcome, report, _scratch: scratch }
    }
}

/// A guest under way that holds 40 MiB of its own and waits for its input (`guests/holds.c`); ends with this value.
#[derive(Debug)]
pub struct Holding {
    /// `pager run`, with pipes to the guest's input and from its output.
    pub pager: Child,
    /// The guest's process id.
    pub program: u32,
}

impl Paging {
    /// Starts the guest, with its report in `stats`, and waits until it holds its memory.
    ///
    /// # Panics
    ///
    /// When it does not come so far.
    #[must_use]
    pub fn hold(&self, stats: impl AsRef<OsStr>) -> Holding {
        let mut command = Command::new(binaries::pager());
        command.arg("run").args(&self.options).arg("--stats").arg(stats).arg("--");
        command.arg(guests::build("holds", Link::Dynamic));
        let mut pager =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("pager can be started");
        let mut line = String::new();
        let said = BufReader::new(pager.stdout.as_mut().expect("piped")).read_line(&mut line);
        said.expect("the guest says its process id");
        Holding { pager, program: line.trim().parse().expect("a number") }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let _ = self.pager.kill();
        let _ = self.pager.wait();
    }
}

impl PagedOutcome {
    /// Whether the pager left a report.
    #[must_use]
    pub fn has_report(&self) -> bool {
        self.report.exists()
    }

    /// The pager's report.
    ///
    /// # Panics
    ///
    /// When it left none.
    #[must_use]
    pub fn report(&self) -> Report {
        assert!(
            self.report.exists(),
            "the pager left no report ({:?}): {}",
            self.outcome.end,
            self.outcome.complaint()
        );
        Report::read(&self.report)
    }
}
