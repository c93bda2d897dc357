//! What a program pays for being paged at all: natively and under the pager without a cap, in turns.
//!
//! `cargo bench -p integration --bench overheads`. Medians of the rounds are compared, so that a slow stretch
//! of the machine hits both. `OVERHEADS_ENFORCE=1` makes a figure over its bar an error.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use integration::bench::{self, Bars, median};
use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;

const ROUNDS: usize = 9;
const LIMIT: Duration = Duration::from_secs(60);

/// What is promised of a row.
#[derive(Clone, Copy)]
enum Bar {
    None,
    /// At most this multiple of the native time.
    Ratio(f64),
    /// At most this much more than the native time.
    Added(Duration),
}

/// A row measured as the wall time of a whole program, start included.
const COMMANDS: [(&str, &str, Bar); 5] = [
    ("start-up: true", "exec /bin/true", Bar::Added(Duration::from_millis(15))),
    ("calls: dd bs=1, 200,000 bytes", "exec dd if=/dev/zero of=/dev/null bs=1 count=200000", Bar::None),
    (
        "calls: find /usr/share /usr/lib",
        "exec find /usr/share /usr/lib -newer /etc/passwd -size +1k",
        Bar::None,
    ),
    ("fork: 200 subshells", "i=0; while [ $i -lt 200 ]; do (:); i=$((i+1)); done", Bar::None),
    (
        "fork and exec: a configure-like loop",
        "i=0; while [ $i -lt 60 ]; do x=$(expr $i + 1); test -f /etc/passwd && echo $x | sed s/1/2/ >/dev/null; i=$x; done",
        Bar::None,
    ),
];

/// The guests that time their own rows, and the bars of those that have one.
const GUESTS: [&str; 3] = ["call_times", "work_times", "sharing_times"];
const GUEST_BARS: [(&str, Bar); 4] = [
    ("null call", Bar::Ratio(12.0)),
    ("1-byte read", Bar::Ratio(12.0)),
    ("CPU-bound", Bar::Ratio(1.03)),
    ("memory-bound, first touches included", Bar::Ratio(1.03)),
];

#[derive(Clone, Copy)]
enum How {
    Native,
    Paged,
}

/// Nanoseconds of one row, natively and paged.
#[derive(Default)]
struct Samples {
    native: Vec<f64>,
    paged: Vec<f64>,
}

type Table = BTreeMap<String, Samples>;

fn main() -> ExitCode {
    let scratch = Scratch::new("overheads");
    let mut table = Table::new();
    for _round in 0..ROUNDS {
        for how in [How::Native, How::Paged] {
            if let Err(reason) = round(how, &scratch, &mut table) {
                eprintln!("overheads: {reason}");
                return ExitCode::FAILURE;
            }
        }
    }
    bench::exit_code(print_table(&table), "OVERHEADS_ENFORCE")
}

fn round(how: How, scratch: &Scratch, table: &mut Table) -> Result<(), String> {
    for (name, script, _) in COMMANDS {
        let outcome = finished(how, Path::new("/bin/sh"), &["-c", script], scratch)?;
        note(table, name, how, outcome.elapsed.as_nanos() as f64);
    }
    for guest in GUESTS {
        let outcome = finished(how, &guests::build(guest, Link::Dynamic), &[], scratch)?;
        for line in String::from_utf8_lossy(&outcome.stdout).lines() {
            let (name, time) = line.rsplit_once(' ').ok_or("a line without a time")?;
            note(table, name, how, time.parse().map_err(|error| format!("{time}: {error}"))?);
        }
    }
    Ok(())
}

fn finished(how: How, program: &Path, arguments: &[&str], scratch: &Scratch) -> Result<Outcome, String> {
    let run = match how {
        How::Native => Run::new(program),
        How::Paged => Paging::new().command(program, &scratch.join("report.json")),
    };
    let outcome = run.args(arguments).limit(LIMIT).outcome();
    if outcome.end == End::Code(0) {
        Ok(outcome)
    } else {
        Err(format!(
            "{} {arguments:?} ended with {:?}: {}",
            program.display(),
            outcome.end,
            outcome.complaint()
        ))
    }
}

fn note(table: &mut Table, name: &str, how: How, nanoseconds: f64) {
    let samples = table.entry(name.to_owned()).or_default();
    match how {
        How::Native => samples.native.push(nanoseconds),
        How::Paged => samples.paged.push(nanoseconds),
    }
}

fn bar_of(name: &str) -> Bar {
    let commands = COMMANDS.iter().map(|&(name, _, bar)| (name, bar));
    commands.chain(GUEST_BARS).find(|&(of, _)| of == name).map_or(Bar::None, |(_, bar)| bar)
}

/// Prints the rows; whether every bar is kept.
fn print_table(table: &Table) -> Bars {
    println!("| what | native | paged | ratio | bar |\n|---|---|---|---|---|");
    let mut bars = Bars::Kept;
    for (name, samples) in table {
        let (native, paged) = (median(&samples.native), median(&samples.paged));
        let (bar, holds) = match bar_of(name) {
            Bar::None => (String::new(), true),
            Bar::Ratio(most) => (format!("{most} x"), paged / native <= most),
            Bar::Added(most) => (format!("+ {most:?}"), paged - native <= most.as_nanos() as f64),
        };
        let verdict = if holds { "" } else { " **over**" };
        println!(
            "| {name} | {} | {} | {:.2} | {bar}{verdict} |",
            shown(native),
            shown(paged),
            paged / native
        );
        if !holds {
            bars = Bars::Missed;
        }
    }
    println!("\nmedians of {ROUNDS} rounds; the pager without a cap");
    bars
}

fn shown(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e4 => format!("{nanoseconds:.0} ns"),
        ..1e7 => format!("{:.1} us", nanoseconds / 1e3),
        _ => format!("{:.0} ms", nanoseconds / 1e6),
    }
}
