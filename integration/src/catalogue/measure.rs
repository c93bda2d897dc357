//! Running an entry natively and under the pager at parts of its native peak.
//!
//! The first native run warms the page cache and counts for nothing but its peak. Then native and paged runs
//! take turns, so that both see the same machine, and times are compared with the median of the native ones.

use std::path::Path;
use std::time::Duration;

use super::Entry;
use crate::STATED_SLACK_BYTES;
use crate::guests::{self, Link};
use crate::inputs;
use crate::paged::{PagedOutcome, Paging};
use crate::run::{End, Outcome, Run, Sampling};
use crate::scratch::Scratch;

/// The caps, in percent of the native peak.
pub const PERCENTS: [u64; 3] = [100, 50, 25];
/// The smallest cap that is tried: what a few threads pin at one time.
const SMALLEST_CAP: u64 = 256 << 10;
const NATIVE_LIMIT: Duration = Duration::from_secs(150);
/// A paged run may take this many times as long as the native one, and the time of a start on a busy machine.
const SLOWDOWN: u32 = 60;
const GRACE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(300);

/// How one paged run compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Output and exit code are the same, and the cap held.
    Same,
    /// What is not the same, in one line.
    Different(String),
}

/// One paged run.
#[derive(Debug, Clone)]
pub struct AtCap {
    /// The cap, in percent of the native peak.
    pub percent: u64,
    /// The cap, in bytes.
    pub cap_bytes: u64,
    /// How it compares.
    pub verdict: Verdict,
    /// Its time, as a multiple of the native one.
    pub ratio: f64,
    /// Its faults, or none when there is no report.
    pub faults: Option<u64>,
}

/// What came out for one entry.
#[derive(Debug, Clone)]
pub enum Measured {
    /// It is not installed.
    Skipped,
    /// The native run itself failed: why.
    Unusable(String),
    /// It ran.
    Ran {
        /// The largest peak of one process, natively.
        native_peak_bytes: u64,
        /// The median of the warm native runs' times.
        native: Duration,
        /// One run for each of [`PERCENTS`].
        caps: Vec<AtCap>,
    },
}

/// Runs `entry` everywhere.
///
/// # Panics
///
/// When its inputs cannot be made.
#[must_use]
pub fn measure(entry: &Entry) -> Measured {
    if !entry.is_installed() {
        return Measured::Skipped;
    }
    let inputs = Scratch::new("catalogue");
    inputs::text_file(&inputs.join("text"), 1_000_000, 7);
    let made = shell(Run::new("/bin/sh"), &entry.setup, inputs.path()).limit(NATIVE_LIMIT).outcome();
    if made.end != End::Code(0) {
        return Measured::Unusable(format!("its inputs: {}", said(&made)));
    }
    // Not among the inputs, which some programs list.
    let aside = Scratch::new("catalogue-peak");
    let peak_file = aside.join("peak");
    let run = || in_copy(inputs.path(), |folder| native(entry, folder, &peak_file));
    let first = run();
    if !matches!(first.end, End::Code(_)) {
        return Measured::Unusable(said(&first));
    }
    let native_peak_bytes = peak(&peak_file);
    let (mut times, mut runs) = (Vec::new(), Vec::new());
    for percent in PERCENTS {
        let again = run();
        if (first.end, &first.stdout) != (again.end, &again.stdout) {
            let why = first_difference(&first.stdout, &again.stdout);
            return Measured::Unusable(format!("its output differs from one native run to the next: {why}"));
        }
        times.push(again.elapsed);
        runs.push(at_cap(entry, inputs.path(), &again, percent, native_peak_bytes));
    }
    times.sort_unstable();
    let native = times[times.len() / 2];
    let caps = runs
        .into_iter()
        .map(|(cap, elapsed)| AtCap { ratio: elapsed.as_secs_f64() / native.as_secs_f64(), ..cap });
    Measured::Ran { native_peak_bytes, native, caps: caps.collect() }
}

fn native(entry: &Entry, folder: &Path, peak_file: &Path) -> Outcome {
    let run = Run::new(guests::build("peak", Link::Static)).arg(peak_file).arg("/bin/sh");
    shell(run, &entry.command, folder).limit(NATIVE_LIMIT).outcome()
}

/// A paged run, and its time; how that compares is known only once all native runs are done.
fn at_cap(
    entry: &Entry,
    inputs: &Path,
    native: &Outcome,
    percent: u64,
    native_peak: u64,
) -> (AtCap, Duration) {
    let cap_bytes = (native_peak * percent / 100).max(SMALLEST_CAP);
    let limit = (native.elapsed * SLOWDOWN + GRACE).min(LONGEST);
    let paged: PagedOutcome = in_copy(inputs, |folder| {
        // The peak is that of the largest process.
        let paging = Paging::new().resident(&cap_bytes.to_string()).option("--children", "own");
        paging.run("/bin/sh", |run| shell(run, &entry.command, folder).limit(limit).sampling(Sampling::Fine))
    });
    let faults = paged.has_report().then(|| paged.report().number("faults.total"));
    let verdict = verdict(native, &paged.outcome, cap_bytes);
    (AtCap { percent, cap_bytes, verdict, ratio: f64::NAN, faults }, paged.outcome.elapsed)
}

fn verdict(native: &Outcome, paged: &Outcome, cap_bytes: u64) -> Verdict {
    if paged.end != native.end {
        return Verdict::Different(format!("{:?} and not {:?}: {}", paged.end, native.end, said(paged)));
    }
    if paged.stdout != native.stdout {
        return Verdict::Different(format!(
            "output differs: {}",
            first_difference(&native.stdout, &paged.stdout)
        ));
    }
    let largest = paged.resident.largest_descendant();
    match largest.filter(|largest| largest.bytes > cap_bytes + STATED_SLACK_BYTES) {
        Some(largest) => Verdict::Different(format!(
            "{} held {} KiB over the cap",
            largest.name,
            (largest.bytes - cap_bytes) >> 10
        )),
        None => Verdict::Same,
    }
}

fn first_difference(native: &[u8], paged: &[u8]) -> String {
    let (native, paged) = (String::from_utf8_lossy(native), String::from_utf8_lossy(paged));
    let pair = native.lines().zip(paged.lines()).find(|(one, other)| one != other);
    let cut = |line: &str| line.chars().take(120).collect::<String>();
    pair.map_or_else(
        || "one ends early".to_owned(),
        |(one, other)| format!("{:?} became {:?}", cut(one), cut(other)),
    )
}

fn said(outcome: &Outcome) -> String {
    let words = outcome.complaint();
    let line = words
        .lines()
        .rev()
        .find(|line| line.starts_with("pager"))
        .or(words.lines().last())
        .unwrap_or_default();
    format!("{:?}: {}", outcome.end, line.chars().take(200).collect::<String>())
}

/// `run` with a shell's arguments and an environment that is the same on every machine.
fn shell(run: Run, command: &str, folder: &Path) -> Run {
    let run = run.args(["-c", command]).folder(folder);
    run.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games")
        .env("HOME", folder)
        .env("LC_ALL", "C")
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

/// Runs `run` in a fresh copy of the inputs, always at the same path: some programs print it.
fn in_copy<T>(inputs: &Path, run: impl FnOnce(&Path) -> T) -> T {
    let copy = inputs.with_extension("copy");
    let _ = std::fs::remove_dir_all(&copy);
    let copied = Run::new("/bin/cp").arg("-a").arg(inputs).arg(&copy).outcome();
    assert_eq!(copied.end, End::Code(0), "the inputs cannot be copied: {}", copied.complaint());
    let result = run(&copy);
    let _ = std::fs::remove_dir_all(&copy);
    result
}

fn peak(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).expect("the peak was written");
    text.trim().parse::<u64>().expect("the peak is a number") << 10
}
