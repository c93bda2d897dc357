//! What a fault costs under the pager, against hand-written floors measured in the same run.
//!
//! `cargo bench -p integration --bench faults`. Rounds alternate between floors and pager, so that a slow
//! stretch of the machine hits both; medians are compared. `FAULTS_ENFORCE=1` makes a ratio over the bar an
//! error.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use integration::bench::{self, Bars};
use integration::floor::{self, Order, PAGE_BYTES};
use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::run::End;
use integration::scratch::Scratch;

/// Pages of each measurement: 32 MiB.
const PAGES: usize = 8192;
const ROUNDS: usize = 7;
/// The most that a fault may cost, in floors.
const BAR: f64 = 1.5;

/// Samples by name, each in nanoseconds a page.
type Samples = BTreeMap<String, Vec<f64>>;

/// A kind of fault under the pager, and what it is measured against.
struct Comparison {
    kind: &'static str,
    floor: &'static str,
    kernel: &'static str,
}

const COMPARISONS: [Comparison; 5] = [
    Comparison {
        kind: "anonymous_scattered",
        floor: "SIGBUS + UFFDIO_COPY, scattered",
        kernel: "kernel anonymous, scattered",
    },
    Comparison {
        kind: "anonymous_sequential",
        floor: "SIGBUS + UFFDIO_COPY, sequential",
        kernel: "kernel anonymous, sequential",
    },
    Comparison {
        kind: "private_file_scattered",
        floor: "SIGBUS + pread + UFFDIO_COPY, scattered",
        kernel: "kernel private file, scattered",
    },
    Comparison {
        kind: "file_sequential",
        floor: "SIGSEGV + GUARD_REMOVE + POPULATE_READ 64K, sequential",
        kernel: "kernel file, sequential",
    },
    Comparison {
        kind: "file_scattered",
        floor: "SIGSEGV + GUARD_REMOVE + POPULATE_READ 64K, scattered",
        kernel: "kernel file, scattered",
    },
];

fn main() -> ExitCode {
    let scratch = Scratch::new("faults");
    let path = scratch.file("pages", vec![7; PAGES * PAGE_BYTES]);
    let mut samples = Samples::new();
    for _round in 0..ROUNDS {
        measure_floors(&path, &mut samples);
        if let Err(reason) = measure_pager(&path, &mut samples) {
            eprintln!("faults: {reason}");
            return ExitCode::FAILURE;
        }
    }
    let bars = if print_table(&samples) <= BAR { Bars::Kept } else { Bars::Missed };
    bench::exit_code(bars, "FAULTS_ENFORCE")
}

fn measure_floors(path: &Path, samples: &mut Samples) {
    let file = File::open(path).expect("the file was just made");
    let mut note =
        |name: &str, nanoseconds: f64| samples.entry(name.to_owned()).or_default().push(nanoseconds);
    for (order, word) in [(Order::Sequential, "sequential"), (Order::Scattered, "scattered")] {
        note(&format!("SIGBUS + UFFDIO_COPY, {word}"), floor::private_copy(PAGES, order));
        note(&format!("SIGBUS + pread + UFFDIO_COPY, {word}"), floor::private_file_copy(&file, PAGES, order));
        note(
            &format!("SIGSEGV + GUARD_REMOVE + POPULATE_READ 64K, {word}"),
            floor::map_through(&file, PAGES, order),
        );
        note(&format!("handler-thread userfaultfd, {word}"), floor::handler_thread(PAGES / 8, order));
        note(&format!("kernel anonymous, {word}"), floor::kernel_anonymous(PAGES, order));
        note(&format!("kernel private file, {word}"), floor::kernel_private_file(&file, PAGES, order));
        note(&format!("kernel file, {word}"), floor::kernel_file(&file, PAGES, order));
    }
}

/// Runs the guest that times its own faults, without a cap.
fn measure_pager(path: &Path, samples: &mut Samples) -> Result<(), String> {
    let program = guests::build("fault_times", Link::Dynamic);
    let pages = PAGES.to_string();
    let run = Paging::new().run(program, |run| run.arg(path).arg(&pages).limit(Duration::from_secs(60)));
    if run.outcome.end != End::Code(0) {
        return Err(format!(
            "the guest under the pager ended with {:?}: {}",
            run.outcome.end,
            run.outcome.complaint().trim()
        ));
    }
    for line in String::from_utf8_lossy(&run.outcome.stdout).lines() {
        let (kind, nanoseconds) = line.split_once(' ').ok_or("a line without a time")?;
        let nanoseconds = nanoseconds.parse().map_err(|error| format!("{nanoseconds}: {error}"))?;
        samples.entry(kind.to_owned()).or_default().push(nanoseconds);
    }
    Ok(())
}

fn median(samples: &Samples, name: &str) -> f64 {
    bench::median(samples.get(name).unwrap_or_else(|| panic!("nothing was measured for {name}")))
}

/// Prints every median, then the ratios; the worst ratio.
fn print_table(samples: &Samples) -> f64 {
    println!("nanoseconds a page, medians of {ROUNDS} rounds of {PAGES} pages");
    for name in samples.keys() {
        println!("  {name:<60} {:>9.0}", median(samples, name));
    }
    println!("\n  {:<24} {:>9} {:>9} {:>7} {:>9}", "under the pager", "pager", "floor", "ratio", "kernel");
    let mut worst: f64 = 0.0;
    for Comparison { kind, floor, kernel } in &COMPARISONS {
        let (pager, least, native) = (median(samples, kind), median(samples, floor), median(samples, kernel));
        let ratio = pager / least;
        let verdict = if ratio <= BAR { "" } else { "  over the bar" };
        println!("  {kind:<24} {pager:>9.0} {least:>9.0} {ratio:>7.2} {native:>9.0}{verdict}");
        worst = worst.max(ratio);
    }
    println!("\n  bar: {BAR} floors");
    worst
}
