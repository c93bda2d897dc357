//! `pager report`: a recorded run as a page, and in the forms that other tools read.
//!
//! | form | for |
//! |---|---|
//! | [`html`] | people: one file that needs nothing else |
//! | json | scripts: the [`crate::survey`] that the page shows |
//! | [`csv`] | spreadsheets: what happened in each column of time, by process |
//! | [`perfetto`] | <https://ui.perfetto.dev>: every single fault, in the trace event format |
//! | [`folded`] | flame graph tools (flamegraph.pl, inferno) |
//! | [`speedscope`] | <https://www.speedscope.app> |

pub mod csv;
pub mod folded;
pub mod html;
pub mod perfetto;
pub mod speedscope;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cli::{ReportArgs, ReportFormat};
use crate::say;
use crate::size::ByteSize;
use crate::survey::model::Survey;
use crate::survey::survey;
use crate::trace::reader::{Trace, TraceError};

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Of nothing.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// It has nowhere to go.
    #[error("{path}: the report cannot be written", path = path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Writes the report that is asked for.
///
/// # Errors
///
/// See [`ReportError`].
pub fn report(args: &ReportArgs) -> Result<(), ReportError> {
    let trace = Trace::open(&args.file)?;
    trace.complain(&args.file);
    let target = target(args);
    let Some(path) = target else {
        // A reader that has seen enough is no error.
        let mut out = BufWriter::new(io::stdout().lock());
        let _ = write(args, &trace, &mut out).and_then(|()| out.flush());
        return Ok(());
    };
    let failed = |source| ReportError::Write { path: path.clone(), source };
    let mut out = BufWriter::new(File::create(&path).map_err(failed)?);
    write(args, &trace, &mut out).and_then(|()| out.flush()).map_err(failed)?;
    if args.format == ReportFormat::Html {
        let bytes = out.get_ref().metadata().map_or(0, |data| data.len());
        say::line(format_args!("wrote {} ({}); open it in a browser", path.display(), ByteSize(bytes)));
    }
    Ok(())
}

/// The file to write; none for standard output.
fn target(args: &ReportArgs) -> Option<PathBuf> {
    match &args.output {
        Some(path) if path == Path::new("-") => None,
        Some(path) => Some(path.clone()),
        None if args.format == ReportFormat::Html => {
            let mut name = args.file.clone().into_os_string();
            name.push(".html");
            Some(name.into())
        }
        None => None,
    }
}

fn write(args: &ReportArgs, trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    match args.format {
        ReportFormat::Perfetto => perfetto::write(trace, out),
        format => write_survey(format, args, &survey(trace), out),
    }
}

fn write_survey(
    format: ReportFormat,
    args: &ReportArgs,
    survey: &Survey,
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        ReportFormat::Html => html::write(survey, out),
        ReportFormat::Json | ReportFormat::Perfetto => {
            serde_json::to_writer(&mut *out, survey)?;
            out.write_all(b"\n")
        }
        ReportFormat::Csv => csv::write(survey, out),
        ReportFormat::Folded => folded::write(survey, args.weight, out),
        ReportFormat::Speedscope => speedscope::write(survey, args.weight, out),
    }
}
