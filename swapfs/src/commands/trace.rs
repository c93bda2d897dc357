//! `swapfs trace`: the requests of a mount as they are answered, for `fio`, spreadsheets and scripts.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use swapfs::process::EndSignals;
use swapfs::trace::{Exporter, Format};

use super::client::{Followed, Mount};
use crate::arguments::interval::interval;

/// How long to wait when there is nothing to read: a ring holds what a busy mount does in that time many
/// times over.
const PAUSE: Duration = Duration::from_millis(5);

/// `swapfs trace`.
#[derive(Debug, Args)]
pub struct TraceArguments {
    /// Where it is mounted
    pub mountpoint: PathBuf,
    /// Write here instead of to the standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value = "csv")]
    pub format: FormatName,
    /// Stop after so many seconds; else Ctrl-C ends it
    #[arg(long, value_name = "N", value_parser = interval)]
    pub seconds: Option<Duration>,
    /// Write each request as soon as it is answered
    #[arg(long)]
    pub follow: bool,
}

/// The names of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// An iolog version 3, for `fio --read_iolog`
    Fio,
    /// Comma-separated values with a line of names
    Csv,
    /// An object a line
    Json,
}

/// Records until told to end.
pub fn run(arguments: &TraceArguments) -> anyhow::Result<()> {
    let ended = on_signal()?;
    let mut trace = Mount::at(&arguments.mountpoint)?.follow("trace")?;
    let mountpoint = arguments.mountpoint.canonicalize().unwrap_or_else(|_| arguments.mountpoint.clone());
    let mut exporter = Exporter::new(output(arguments)?, format(arguments.format), mountpoint)?;
    eprintln!("swapfs: recording; Ctrl-C ends it");
    let recorded = record(arguments, &mut trace, &mut exporter, &ended);
    // What came before a failure is kept.
    let finished = exporter.finish();
    match recorded.and_then(|()| Ok(finished?)) {
        Err(error) if is_broken_pipe(&error) => return Ok(()),
        done => done.context("recording ended early")?,
    }
    let (requests, dropped, left_out) = (exporter.requests(), exporter.dropped(), exporter.left_out());
    let mut summary = format!("swapfs: {requests} requests recorded, {dropped} dropped");
    if left_out > 0 {
        summary += &format!(
            ", {left_out} left out: they failed, moved no bytes, or have names that fio cannot read"
        );
    }
    // Whoever started us may have stopped listening.
    let _ = writeln!(io::stderr(), "{summary}");
    Ok(())
}

fn record(
    arguments: &TraceArguments,
    trace: &mut Followed,
    exporter: &mut Exporter<Box<dyn Write>>,
    ended: &AtomicBool,
) -> anyhow::Result<()> {
    let deadline = arguments.seconds.map(|time| Instant::now() + time);
    let mut partial = Vec::new();
    loop {
        // Asked for before reading, so that all that was answered until then is read.
        let last =
            ended.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match trace.next()? {
            Ok(bytes) if bytes.is_empty() && last => break,
            Ok(bytes) if bytes.is_empty() => std::thread::sleep(PAUSE),
            Ok(bytes) => {
                take_lines(&mut partial, &bytes, exporter)?;
                if arguments.follow {
                    exporter.flush()?;
                }
            }
            Err(error) if is_gone(&error) => break,
            Err(error) => return Err(error.into()),
        }
        if last && deadline.is_none_or(|deadline| Instant::now() > deadline + Duration::from_secs(1)) {
            break;
        }
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Hands on whole lines, and keeps the beginning of the next.
fn take_lines(partial: &mut Vec<u8>, more: &[u8], exporter: &mut Exporter<Box<dyn Write>>) -> io::Result<()> {
    partial.extend_from_slice(more);
    let Some(end) = partial.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
    for line in partial[..end].split(|byte| *byte == b'\n') {
        exporter.line(line)?;
    }
    partial.drain(..=end);
    Ok(())
}

/// The mount was taken away.
fn is_gone(error: &io::Error) -> bool {
    const ENODEV: i32 = 19;
    const ENOTCONN: i32 = 107;
    const ECONNABORTED: i32 = 103;
    matches!(error.raw_os_error(), Some(ENODEV | ENOTCONN | ECONNABORTED))
}

fn on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let (signals, ended) = (EndSignals::hold()?, Arc::new(AtomicBool::new(false)));
    let flag = ended.clone();
    std::thread::spawn(move || {
        let _ = signals.wait();
        flag.store(true, Ordering::Relaxed);
        // Another one ends us at once.
        let _ = signals.wait_for_another();
        std::process::exit(1);
    });
    Ok(ended)
}

fn output(arguments: &TraceArguments) -> anyhow::Result<Box<dyn Write>> {
    match &arguments.out {
        None => Ok(Box::new(BufWriter::new(io::stdout()))),
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(Box::new(BufWriter::new(file)))
        }
    }
}

fn format(name: FormatName) -> Format {
    match name {
        FormatName::Fio => Format::Fio,
        FormatName::Csv => Format::Csv,
        FormatName::Json => Format::Json,
    }
}
