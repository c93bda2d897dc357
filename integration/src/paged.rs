//! A program under `pager run`, and its report.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::binaries;
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
