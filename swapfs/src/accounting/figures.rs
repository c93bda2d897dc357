//! The figures of `stats.json`, and what is left of them when earlier ones are taken away.

use serde::{Deserialize, Serialize};

use super::depth::DepthFigures;
use super::latency::LatencySummary;
use super::tally::Tally;

/// The figures of one file or process, or of all, as they stand in `stats.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Times the file was opened.
    pub open_ops: u64,
    /// Read requests answered, failed ones too.
    pub read_ops: u64,
    /// Bytes really served; less than asked for at the end of a file.
    pub read_bytes: u64,
    /// Read requests that failed.
    pub read_errors: u64,
    /// Different 4 KiB blocks that were read.
    pub read_distinct_blocks: u64,
    /// Blocks read that had been read before, each time counted.
    pub read_repeat_blocks: u64,
    /// Time that reads waited for the throttle.
    pub read_wait_ns: u64,
    /// Time that reads took at the source or store.
    pub read_service_ns: u64,
    /// Write requests answered, failed ones too.
    pub write_ops: u64,
    /// Bytes really taken.
    pub write_bytes: u64,
    /// Write requests that failed.
    pub write_errors: u64,
    /// Different 4 KiB blocks that were written.
    pub write_distinct_blocks: u64,
    /// Blocks written that had been written before, each time counted.
    pub write_repeat_blocks: u64,
    /// Time that writes waited for the throttle.
    pub write_wait_ns: u64,
    /// Time that writes took at the store.
    pub write_service_ns: u64,
    /// Calls of fsync and fdatasync.
    pub sync_ops: u64,
    /// Holes punched.
    pub punch_ops: u64,
    /// Bytes of those holes.
    pub punched_bytes: u64,
    /// Distribution of `read_service_ns`.
    pub read_service: LatencySummary,
    /// Distribution of `read_wait_ns`, over the requests that a rule was for.
    pub read_wait: LatencySummary,
    /// Distribution of `write_service_ns`.
    pub write_service: LatencySummary,
    /// Distribution of `write_wait_ns`, over the requests that a rule was for.
    pub write_wait: LatencySummary,
    /// Reads that began where the one before ended; the others are random.
    pub read_sequential_ops: u64,
    /// Reads of more than one page from a page's start on: what the kernel's readahead looks like (or a
    /// program's own large reads).
    pub read_ahead_ops: u64,
    /// Writes that began where the one before ended; the others are random.
    pub write_sequential_ops: u64,
    /// Reads that succeeded, by bytes served, rounded up to a power of two.
    pub read_size_bytes: Tally,
    /// Writes that succeeded, by bytes taken, rounded up to a power of two.
    pub write_size_bytes: Tally,
    /// Distribution of service and wait together, over all reads.
    pub read_total: LatencySummary,
    /// Distribution of service and wait together, over all writes.
    pub write_total: LatencySummary,
    /// How many requests were under way at once.
    pub queue_depth: DepthFigures,
}

impl Figures {
    /// What came after `earlier`. Blocks are those that were new since then.
    #[must_use]
    pub fn since(&self, earlier: &Figures) -> Figures {
        let less = |of: fn(&Figures) -> u64| of(self).saturating_sub(of(earlier));
        Figures {
            open_ops: less(|f| f.open_ops),
            read_ops: less(|f| f.read_ops),
            read_bytes: less(|f| f.read_bytes),
            read_errors: less(|f| f.read_errors),
            read_distinct_blocks: less(|f| f.read_distinct_blocks),
            read_repeat_blocks: less(|f| f.read_repeat_blocks),
            read_wait_ns: less(|f| f.read_wait_ns),
            read_service_ns: less(|f| f.read_service_ns),
            write_ops: less(|f| f.write_ops),
            write_bytes: less(|f| f.write_bytes),
            write_errors: less(|f| f.write_errors),
            write_distinct_blocks: less(|f| f.write_distinct_blocks),
            write_repeat_blocks: less(|f| f.write_repeat_blocks),
            write_wait_ns: less(|f| f.write_wait_ns),
            write_service_ns: less(|f| f.write_service_ns),
            sync_ops: less(|f| f.sync_ops),
            punch_ops: less(|f| f.punch_ops),
            punched_bytes: less(|f| f.punched_bytes),
            read_service: self.read_service.since(&earlier.read_service),
            read_wait: self.read_wait.since(&earlier.read_wait),
            write_service: self.write_service.since(&earlier.write_service),
            write_wait: self.write_wait.since(&earlier.write_wait),
            read_sequential_ops: less(|f| f.read_sequential_ops),
            read_ahead_ops: less(|f| f.read_ahead_ops),
            write_sequential_ops: less(|f| f.write_sequential_ops),
            read_size_bytes: self.read_size_bytes.since(&earlier.read_size_bytes),
            write_size_bytes: self.write_size_bytes.since(&earlier.write_size_bytes),
            read_total: self.read_total.since(&earlier.read_total),
            write_total: self.write_total.since(&earlier.write_total),
            queue_depth: self.queue_depth.since(&earlier.queue_depth),
        }
    }

    /// Whether anything was counted.
    pub fn is_idle(&self) -> bool {
        self.open_ops + self.read_ops + self.write_ops + self.sync_ops + self.punch_ops == 0
    }
}
