//! The counts of one file: plain data, one recording at a time.

use serde::{Deserialize, Serialize};

use super::blocks::BlockSet;
use super::latency::{Latencies, LatencySummary};
use crate::throttle::Direction;

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// Its direction.
    pub direction: Direction,
    /// Where in the file.
    pub offset: u64,
    /// What it came to.
    pub outcome: Outcome,
    /// Time spent on the source or store.
    pub service_ns: u64,
    /// Time spent waiting for the throttle; `None` if no rule made it wait.
    pub wait_ns: Option<u64>,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// So many bytes were transferred.
    Bytes(u64),
    /// It failed.
    Failed,
}

/// Counts of one direction.
#[derive(Debug, Default, Clone)]
pub struct Lane {
    operations: u64,
    bytes: u64,
    errors: u64,
    repeated_blocks: u64,
    blocks: BlockSet,
    /// Blocks of files merged into this one.
    merged_blocks: u64,
    service: Latencies,
    wait: Latencies,
}

impl Lane {
    fn record(&mut self, answered: &Answered) {
        self.operations += 1;
        match answered.outcome {
            Outcome::Failed => self.errors += 1,
            Outcome::Bytes(bytes) => {
                self.bytes += bytes;
                self.repeated_blocks += self.blocks.touch(answered.offset, bytes).repeated;
            }
        }
        self.service.record(answered.service_ns);
        if let Some(wait_ns) = answered.wait_ns {
            self.wait.record(wait_ns);
        }
    }

    fn merge(&mut self, other: &Lane) {
        self.operations += other.operations;
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.repeated_blocks += other.repeated_blocks;
        self.merged_blocks += other.blocks.len() + other.merged_blocks;
        self.service.merge(&other.service);
        self.wait.merge(&other.wait);
    }
}

/// Counts of one file, or of several added up.
#[derive(Debug, Default, Clone)]
pub struct Counters {
    read: Lane,
    write: Lane,
    opens: u64,
    syncs: u64,
    punches: u64,
    punched_bytes: u64,
}

impl Counters {
    /// Counts a request.
    pub fn record(&mut self, answered: &Answered) {
        match answered.direction {
            Direction::Read => self.read.record(answered),
            Direction::Write => self.write.record(answered),
        }
    }

    /// Counts an open.
    pub fn opened(&mut self) {
        self.opens += 1;
    }

    /// Counts an fsync.
    pub fn synced(&mut self) {
        self.syncs += 1;
    }

    /// Counts a punched hole.
    pub fn punched(&mut self, bytes: u64) {
        self.punches += 1;
        self.punched_bytes += bytes;
    }

    /// Adds all of `other`. Blocks of different files are different blocks.
    pub fn merge(&mut self, other: &Counters) {
        self.read.merge(&other.read);
        self.write.merge(&other.write);
        self.opens += other.opens;
        self.syncs += other.syncs;
        self.punches += other.punches;
        self.punched_bytes += other.punched_bytes;
    }

    /// The figures.
    pub fn figures(&self) -> Figures {
        let (read, write) = (&self.read, &self.write);
        let (read_service, read_wait) = (read.service.summary(), read.wait.summary());
        let (write_service, write_wait) = (write.service.summary(), write.wait.summary());
        Figures {
            open_ops: self.opens,
            read_ops: read.operations,
            read_bytes: read.bytes,
            read_errors: read.errors,
            read_distinct_blocks: read.blocks.len() + read.merged_blocks,
            read_repeat_blocks: read.repeated_blocks,
            read_wait_ns: read_wait.sum_ns,
            read_service_ns: read_service.sum_ns,
            write_ops: write.operations,
            write_bytes: write.bytes,
            write_errors: write.errors,
            write_distinct_blocks: write.blocks.len() + write.merged_blocks,
            write_repeat_blocks: write.repeated_blocks,
            write_wait_ns: write_wait.sum_ns,
            write_service_ns: write_service.sum_ns,
            sync_ops: self.syncs,
            punch_ops: self.punches,
            punched_bytes: self.punched_bytes,
            read_service,
            read_wait,
            write_service,
            write_wait,
        }
    }
}

/// The figures of one file, or of all, as they stand in `stats.json`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offset: u64, outcome: Outcome) -> Answered {
        Answered { direction: Direction::Read, offset, outcome, service_ns: 10, wait_ns: None }
    }

    #[test]
    fn a_failure_counts_no_bytes_and_no_blocks() {
        let mut counters = Counters::default();
        counters.record(&read(0, Outcome::Bytes(4096)));
        counters.record(&read(0, Outcome::Bytes(100)));
        counters.record(&read(8192, Outcome::Failed));
        let figures = counters.figures();
        assert_eq!((figures.read_ops, figures.read_bytes, figures.read_errors), (3, 4196, 1));
        assert_eq!((figures.read_distinct_blocks, figures.read_repeat_blocks), (1, 1));
        assert_eq!(figures.read_service_ns, 30);
        assert_eq!(figures.read_wait.count, 0);
    }

    #[test]
    fn a_total_is_the_sum_of_its_files() {
        let (mut a, mut b, mut total) = (Counters::default(), Counters::default(), Counters::default());
        a.record(&read(0, Outcome::Bytes(4096)));
        b.record(&read(0, Outcome::Bytes(4096)));
        total.merge(&a);
        total.merge(&b);
        assert_eq!(total.figures().read_distinct_blocks, 2);
        assert_eq!(total.figures().read_bytes, 8192);
    }
}
