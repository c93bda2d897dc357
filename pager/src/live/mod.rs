//! Runs that are under way, seen from outside: once, at intervals, or as a screen.
//!
//! | module | owns |
//! |---|---|
//! | [`rates`] | what happened between two looks |
//! | [`screen`] | what the screens show, as plain data |
//! | [`draw`] | drawing it |
//! | [`watch`], [`top`] | the screens themselves: keys and time |
//!
//! Nothing here asks a paged process for anything: all is read from the run's control file.

pub mod draw;
pub mod rates;
pub mod screen;
pub mod top;
pub mod watch;

use std::io;
use std::thread;
use std::time::Instant;

use thiserror::Error;

use crate::attach::{AttachError, Attached};
use crate::cli::{Interval, StatArgs};
use crate::report::text::render;
use crate::say;
use rates::Rates;

/// Why nothing is shown.
#[derive(Debug, Error)]
pub enum LiveError {
    /// There is no such run.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// There is nothing to draw on.
    #[error("this needs a terminal; `pager stat PID --interval 1` does not")]
    Terminal(#[source] io::Error),
}

/// Prints what a run has counted, once, or what it does at intervals until it ends.
///
/// # Errors
///
/// If there is no such run.
pub fn stat(args: &StatArgs) -> Result<(), LiveError> {
    let mut run = Attached::to(args.pid)?;
    let Some(Interval(interval)) = args.interval else {
        let report = run.report();
        say::to_stdout(&if args.json { report.to_json() } else { render(&report) });
        return Ok(());
    };
    let (mut before, mut looked, mut lines) = (run.report(), Instant::now(), 0);
    let most = args.count.unwrap_or(u64::MAX);
    while lines < most && run.is_alive() {
        thread::sleep(interval);
        let report = run.report();
        let took = looked.elapsed();
        looked = Instant::now();
        if args.json {
            say::to_stdout(&report.to_json());
        } else {
            let head = if lines.is_multiple_of(20) { Rates::HEAD } else { "" };
            say::to_stdout(&format!("{head}{}", Rates::between(&before, &report, took).line()));
        }
        before = report;
        lines += 1;
    }
    Ok(())
}
