//! What a run was asked to do, checked.

use std::io;
use std::path::{Path, PathBuf};

use pager_core::replacement::PolicyKind;
use pager_core::shared::{Children, Engine, FillMode, SWAP_FILES};
use pager_core::text::PATH_BYTES;
use thiserror::Error;

use crate::cap::LEAST_CAP_PAGES;
use crate::cli::RunArgs;
use crate::layout::TRACE_CELLS;
use crate::size::{ByteSize, PAGE_BYTES};

/// Part of the cap that one fault may bring in.
const FAULT_AROUND_PER_CAP: u64 = 4;

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verbosity {
    /// Failures and the report.
    Normal,
    /// Events inside the program too.
    Events,
}

/// The parts of a run that need no open file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Most resident pages of a process.
    pub cap_pages: Option<u64>,
    /// Pages brought in by one image fault.
    pub fault_around_pages: u64,
    /// How image pages get in.
    pub fill: FillMode,
    /// By which signal missing pages make themselves known.
    pub engine: Engine,
    /// Which pages go when the cap is reached.
    pub policy: PolicyKind,
    /// What becomes of the processes that the program starts.
    pub children: Children,
    /// How much is told.
    pub verbosity: Verbosity,
    /// Cells of the ring for recorded events; 0 without `--record`.
    pub trace_cells: u64,
    /// Absolute path of the directory that stands for `/` first.
    pub root: Option<PathBuf>,
}

/// A wish that cannot be met: wrong usage.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Under [`LEAST_CAP_PAGES`].
    #[error(
        "--resident {asked}: too small to run in; the smallest that works is {}",
        ByteSize::of_pages(LEAST_CAP_PAGES)
    )]
    CapTooSmall {
        /// What was asked for.
        asked: ByteSize,
    },
    /// Under a page.
    #[error("--fault-around {asked}: less than a page; the smallest is {}", ByteSize(PAGE_BYTES))]
    FaultAroundTooSmall {
        /// What was asked for.
        asked: ByteSize,
    },
    /// Over [`SWAP_FILES`].
    #[error("--swap: {named} files named, at most {SWAP_FILES} can be used at once")]
    TooManySwapFiles {
        /// How many.
        named: usize,
    },
    /// The root is not there.
    #[error("--root {path}: cannot be used; name an existing directory")]
    Root {
        /// As given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The root's path does not fit in the control block.
    #[error("--root {path}: the path is over {PATH_BYTES} bytes long; mount or link it somewhere shorter")]
    RootTooLong {
        /// Absolute.
        path: PathBuf,
    },
}

impl Plan {
    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// The first wish that cannot be met.
    pub fn new(args: &RunArgs) -> Result<Plan, PlanError> {
        let cap_pages = args.resident.map(cap).transpose()?;
        if args.fault_around.pages() == 0 {
            return Err(PlanError::FaultAroundTooSmall { asked: args.fault_around });
        }
        if args.swap.len() > SWAP_FILES {
            return Err(PlanError::TooManySwapFiles { named: args.swap.len() });
        }
        let most_around = cap_pages.map_or(u64::MAX, |pages| pages / FAULT_AROUND_PER_CAP);
        let (fill, fault_around_pages) = match args.exact {
            true => (FillMode::Exact, 1),
            false => (FillMode::MapThrough, args.fault_around.pages().min(most_around)),
        };
        Ok(Plan {
            cap_pages,
            fault_around_pages,
            fill,
            engine: args.engine.into(),
            policy: args.policy.into(),
            children: args.children.into(),
            trace_cells: if args.record.is_some() { TRACE_CELLS } else { 0 },
            verbosity: if args.verbose { Verbosity::Events } else { Verbosity::Normal },
            root: args.root.as_deref().map(root).transpose()?,
        })
    }
}

fn cap(asked: ByteSize) -> Result<u64, PlanError> {
    match asked.pages() {
        pages if pages < LEAST_CAP_PAGES => Err(PlanError::CapTooSmall { asked }),
        pages => Ok(pages),
    }
}

fn root(path: &Path) -> Result<PathBuf, PlanError> {
    let failed = |source| PlanError::Root { path: path.to_owned(), source };
    let absolute = path.canonicalize().map_err(failed)?;
    if !absolute.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    match absolute.as_os_str().len() {
        len if len > PATH_BYTES => Err(PlanError::RootTooLong { path: absolute }),
        _ => Ok(absolute),
    }
}

#[cfg(test)]
impl Plan {
    /// Exact, with nothing set aside and nothing recorded.
    pub fn for_tests(cap_pages: Option<u64>, children: Children) -> Plan {
        Plan {
            cap_pages,
            fault_around_pages: 1,
            fill: FillMode::Exact,
            engine: Engine::Auto,
            children,
            verbosity: Verbosity::Normal,
            policy: pager_core::replacement::PolicyKind::TwoQueue,
            trace_cells: 0,
            root: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn plan(line: &[&str]) -> Result<Plan, PlanError> {
        let words = ["pager", "run"].iter().chain(line).chain(&["--", "true"]);
        match crate::cli::Cli::parse_from(words).command {
            crate::cli::Command::Run(args) => Plan::new(&args),
            _ => unreachable!("the line says run"),
        }
    }

    #[test]
    fn nothing_asked_means_no_cap_and_chunks_of_64k() {
        let plan = plan(&[]).expect("valid");
        assert_eq!((plan.cap_pages, plan.fault_around_pages, plan.fill), (None, 16, FillMode::MapThrough));
    }

    #[test]
    fn the_smallest_cap_is_named_when_a_smaller_one_is_refused() {
        assert_eq!(plan(&["--resident", "256K"]).expect("valid").cap_pages, Some(64));
        let error = plan(&["--resident", "262143"]).expect_err("too small");
        assert!(error.to_string().ends_with("the smallest that works is 256K"), "{error}");
    }

    #[test]
    fn a_small_cap_shrinks_the_chunk() {
        assert_eq!(
            plan(&["--resident", "256K", "--fault-around", "1M"]).expect("valid").fault_around_pages,
            16
        );
    }

    #[test]
    fn exact_means_page_by_page() {
        let plan = plan(&["--exact"]).expect("valid");
        assert_eq!((plan.fault_around_pages, plan.fill), (1, FillMode::Exact));
    }

    #[test]
    fn wishes_that_cannot_be_met_are_refused() {
        assert!(matches!(plan(&["--fault-around", "1K"]), Err(PlanError::FaultAroundTooSmall { .. })));
        assert!(matches!(plan(&["--swap", "a,b,c,d,e"]), Err(PlanError::TooManySwapFiles { named: 5 })));
        assert!(matches!(plan(&["--root", "/no/such/directory"]), Err(PlanError::Root { .. })));
        assert!(matches!(plan(&["--root", "/etc/passwd"]), Err(PlanError::Root { .. })));
    }
}
