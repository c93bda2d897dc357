//! A recorded run, summed up: what a page about it shows, and other forms are made of.
//!
//! JSON keys stay as they are; `docs/QUESTIONS.md` says what they mean. Sizes are bounded whatever the run
//! did: series have [`COLUMNS`] values, tables a number of rows that is stated where they are made.

use serde::Serialize;

use crate::analysis::curve::Curves;

/// Version of the JSON form; grows when a key changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;
/// Values of a series over time.
pub const COLUMNS: usize = 600;
/// Kinds of fault.
pub const KINDS: usize = 5;

/// All of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Survey {
    pub schema_version: u32,
    pub program: String,
    pub arguments: Vec<String>,
    pub cap_pages: Option<u64>,
    pub page_bytes: u64,
    pub started_unix_ns: u64,
    /// From the run's start to its end, or to the last event of a recording that was cut off.
    pub elapsed_ns: u64,
    pub events: u64,
    pub dropped: u64,
    /// What is not whole about the recording, a sentence each.
    pub warnings: Vec<String>,
    /// Names of the kinds of fault, in the order of all arrays by kind.
    pub kinds: Vec<&'static str>,
    /// Time that one value of a series stands for.
    pub column_ns: u64,
    /// All processes together.
    pub all: Series,
    /// Those with the most faults, in order of their first event.
    pub processes: Vec<Process>,
    /// Processes that are in the sums only.
    pub processes_left_out: u64,
    pub images: Vec<Image>,
    /// By kind.
    pub latency: Vec<Latency>,
    pub functions: Vec<Culprit>,
    pub lines: Vec<Culprit>,
    pub stacks: Vec<Stack>,
    pub ahead: Ahead,
    /// Misses against cap; `None` where the run had no cap, so that there is nothing to tell.
    pub curve: Option<Curves>,
}

/// Values over time. Empty where all would be zero.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Series {
    /// Faults by kind.
    pub faults: [Vec<u32>; KINDS],
    /// Most pages resident.
    pub resident: Vec<u32>,
    /// Pages read from swap files.
    pub swapped_in: Vec<u32>,
    /// Pages written to swap files.
    pub swapped_out: Vec<u32>,
    /// Pages that left memory in any way.
    pub evicted: Vec<u32>,
}

/// A process of the run.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub program: String,
    pub first_ns: u64,
    pub last_ns: u64,
    pub threads: u64,
    pub tally: Tally,
    pub resident_peak_pages: u64,
    pub series: Series,
    /// Only of those with the most faults.
    pub heat: Option<Heat>,
}

/// Faults and what they cost, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Tally {
    /// How many.
    pub faults: [u64; KINDS],
    /// Nanoseconds in them.
    pub ns: [u64; KINDS],
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, kind: usize, ns: u64) {
        self.faults[kind] += 1;
        self.ns[kind] = self.ns[kind].saturating_add(ns);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Tally) {
        for kind in 0..KINDS {
            self.faults[kind] += other.faults[kind];
            self.ns[kind] = self.ns[kind].saturating_add(other.ns[kind]);
        }
    }

    /// Faults of all kinds.
    pub fn count(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// Nanoseconds in all of them.
    pub fn total_ns(&self) -> u64 {
        self.ns.iter().fold(0, |sum, ns| sum.saturating_add(*ns))
    }
}

/// Faults by place and time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Heat {
    /// Columns that a cell's time is counted in.
    pub columns: usize,
    pub rows: Vec<Row>,
    /// Row, column and number of faults of each cell that has any, one after the other.
    pub cells: Vec<u32>,
}

/// A row of a heat map.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Row {
    pub first_page: u64,
    pub pages: u64,
    pub area: String,
}

/// A file that pages came from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Image {
    pub path: String,
    /// Of the file; of the part that was seen where it is not there any more.
    pub pages: u64,
    /// Pages brought in at least once.
    pub pages_in: u64,
    /// Pages brought in, each time counted.
    pub fills: u64,
    pub faults: u64,
    pub evicted: u64,
    pub pages_per_cell: u64,
    /// Pages of each cell that were brought in, each time counted.
    pub cells: Vec<u32>,
    /// When a page of the cell came first, in nanoseconds; `None` for never.
    pub first_ns: Vec<Option<u64>>,
}

/// How long faults of one kind took.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub kind: &'static str,
    pub count: u64,
    pub total_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
    /// Smallest value and number of each bucket that has any.
    pub buckets: Vec<(u64, u64)>,
}

/// What faults are due to: a function, or a line of source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Culprit {
    pub pid: u32,
    pub image: String,
    pub name: String,
    #[serde(flatten)]
    pub tally: Tally,
}

/// Frames from the outermost, and what was counted at the innermost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Stack {
    pub frames: Vec<String>,
    pub faults: u64,
    pub ns: u64,
}

/// Pages that came along with one that was touched, and what became of them. A read of such a page is not
/// seen; a write is, and so is leaving.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Ahead {
    pub pages: u64,
    /// Written to afterwards.
    pub used: u64,
    /// Left memory as the zeros that they came as.
    pub wasted: u64,
    /// Anything else: read, or not touched at all.
    pub unknown: u64,
}
