//! The shape of `.swapfs/stats.json`.

use serde::{Deserialize, Serialize};

use super::blocks::BLOCK_BYTES;
use super::class::FileClass;
use super::figures::Figures;
use super::processes::ProcessSnapshot;

/// All counts of a mount at one moment. Holds no time of its own: an idle mount gives the same bytes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this shape; grows when a key goes or changes its meaning.
    pub version: u32,
    /// The daemon's process.
    pub pid: u32,
    /// Whether that process ends at SIGTERM, as `swapfs mount` does, and not a program that serves a mount
    /// from within.
    #[serde(default)]
    pub ends_on_sigterm: bool,
    /// Where it is mounted.
    pub mountpoint: String,
    /// When it was mounted, since 1970.
    pub started_unix_ns: u64,
    /// Whether it was mounted with `--strict`.
    pub strict: bool,
    /// What a counted read is: `every read` or `page-cache misses`.
    pub counted_reads: String,
    /// Serving threads.
    pub threads: u64,
    /// How requests come: `by /dev/fuse` or `over io_uring`.
    #[serde(default)]
    pub requests_come: String,
    /// Size of the blocks that are counted.
    pub block_bytes: u64,
    /// Requests that the throttle holds back now; they are not yet counted.
    pub waiting_requests: u64,
    /// Files that are open now.
    pub open_files: u64,
    /// How many files have rows of their own in `files`, besides those that are open.
    #[serde(default)]
    pub stats_files: u64,
    /// How many rows were added to that of the others.
    #[serde(default)]
    pub folded_files: u64,
    /// Sum over all files.
    pub total: Figures,
    /// Files that were opened since the mount or the last reset, sorted by path; those of which least was
    /// read and written may be one row, `(others)`.
    pub files: Vec<FileSnapshot>,
    /// Faults made on purpose.
    #[serde(default)]
    pub faults: crate::faults::FaultCounts,
    /// Each process that used the mount, by pid.
    #[serde(default)]
    pub processes: Vec<ProcessSnapshot>,
    /// When counting began, since 1970: at the mount, or at the last reset.
    #[serde(default)]
    pub counted_since_unix_ns: u64,
}

/// The counts of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSnapshot {
    /// From the top of the mount: `images/ls`, `swap/swap0`.
    pub path: String,
    /// `image` or `swap`.
    pub class: FileClass,
    /// Size when it was last opened.
    pub size_bytes: u64,
    /// Of a swap file: room that its store takes now, in memory or on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_bytes: Option<u64>,
    /// Of a swap file: bytes of data that take this room, more of them where the store compresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_bytes: Option<u64>,
    /// Part of its blocks that were read, from 0 to 1.
    #[serde(default)]
    pub read_coverage: f64,
    /// Part of its blocks that were written, from 0 to 1.
    #[serde(default)]
    pub write_coverage: f64,
    /// How often each block that was read was read: 1 if none came twice, 0 if nothing was read.
    #[serde(default)]
    pub reads_per_block: f64,
    /// Part of the reads that look like readahead, from 0 to 1: `read_ahead_ops` of `read_ops`.
    #[serde(default)]
    pub readahead_share: f64,
    /// Its counts.
    #[serde(flatten)]
    pub figures: Figures,
}

impl FileSnapshot {
    /// A file's counts and what follows from them.
    pub fn new(path: String, class: FileClass, size_bytes: u64, figures: Figures) -> Self {
        let blocks = size_bytes.div_ceil(BLOCK_BYTES).max(1) as f64;
        let coverage = |distinct: u64| (distinct as f64 / blocks).min(1.0);
        let read_coverage = coverage(figures.read_distinct_blocks);
        let write_coverage = coverage(figures.write_distinct_blocks);
        let part = |of: u64, all: u64| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        let served = figures.read_distinct_blocks + figures.read_repeat_blocks;
        FileSnapshot {
            path,
            class,
            size_bytes,
            allocated_bytes: None,
            data_bytes: None,
            read_coverage,
            write_coverage,
            reads_per_block: part(served, figures.read_distinct_blocks),
            readahead_share: part(figures.read_ahead_ops, figures.read_ops),
            figures,
        }
    }
}

/// The version of this shape.
pub const VERSION: u32 = 1;

impl Snapshot {
    /// The text of `stats.json`.
    ///
    /// # Panics
    /// Never: the shape has only text keys.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data") + "\n"
    }

    /// Room that all swap files take together, and bytes of data in it.
    pub fn kept_bytes(&self) -> (u64, u64) {
        let sum = |of: fn(&FileSnapshot) -> Option<u64>| self.files.iter().filter_map(of).sum();
        (sum(|file| file.allocated_bytes), sum(|file| file.data_bytes))
    }

    /// What came after `earlier`, a snapshot of the same mount. Files and processes that did nothing since
    /// then are left out. After a reset in between, what came after that.
    #[must_use]
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        if self.counted_since_unix_ns > earlier.counted_since_unix_ns {
            return self.clone();
        }
        let none = Figures::default();
        let file = |file: &FileSnapshot| {
            let old =
                earlier.files.iter().rfind(|old| old.path == file.path).map_or(&none, |old| &old.figures);
            let spent =
                FileSnapshot::new(file.path.clone(), file.class, file.size_bytes, file.figures.since(old));
            FileSnapshot { allocated_bytes: file.allocated_bytes, data_bytes: file.data_bytes, ..spent }
        };
        let process = |process: &ProcessSnapshot| {
            let same = |old: &&ProcessSnapshot| old.pid == process.pid && old.comm == process.comm;
            let old = earlier.processes.iter().find(same).map_or(&none, |old| &old.figures);
            ProcessSnapshot { figures: process.figures.since(old), ..process.clone() }
        };
        let mut left = Snapshot { files: vec![], processes: vec![], total: none.clone(), ..self.clone() };
        left.files = self.files.iter().map(file).filter(|file| !file.figures.is_idle()).collect();
        left.processes =
            self.processes.iter().map(process).filter(|process| !process.figures.is_idle()).collect();
        left.total = self.total.since(&earlier.total);
        left.faults = self.faults.since(&earlier.faults);
        left
    }
}

#[cfg(test)]
impl Snapshot {
    /// A snapshot in which the total and each of these files, of two blocks each, have the same figures.
    pub(crate) fn sample(figures: &Figures, paths: &[&str]) -> Snapshot {
        let file =
            |path: &&str| FileSnapshot::new((*path).to_owned(), FileClass::Image, 8192, figures.clone());
        let process = ProcessSnapshot { pid: 7, comm: "reader".into(), figures: figures.clone() };
        Snapshot {
            version: VERSION,
            pid: 7,
            ends_on_sigterm: false,
            mountpoint: "/m".into(),
            started_unix_ns: 0,
            strict: false,
            counted_reads: String::new(),
            threads: 2,
            requests_come: "by /dev/fuse".to_owned(),
            block_bytes: 4096,
            waiting_requests: 0,
            open_files: 0,
            stats_files: 4096,
            folded_files: 0,
            total: figures.clone(),
            files: paths.iter().map(file).collect(),
            faults: crate::faults::FaultCounts::default(),
            processes: vec![process],
            counted_since_unix_ns: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_leaves_out_what_was_idle() {
        let figures = |reads| Figures { read_ops: reads, read_bytes: reads * 10, ..Figures::default() };
        let before = Snapshot::sample(&figures(3), &["images/a", "images/b"]);
        let mut after = before.clone();
        after.files[1].figures = figures(5);
        after.total = figures(8);
        let since = after.since(&before);
        assert_eq!(since.files.len(), 1);
        assert_eq!((since.files[0].path.as_str(), since.files[0].figures.read_bytes), ("images/b", 20));
        assert_eq!(since.total.read_ops, 5);
        assert!(since.processes.is_empty());
        after.counted_since_unix_ns = 9;
        assert_eq!(after.since(&before), after, "a reset came in between");
    }
}
