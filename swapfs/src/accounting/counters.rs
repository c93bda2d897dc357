//! The counts of one file or process: plain data, one recording at a time.

use std::num::NonZeroUsize;

use super::blocks::{BLOCK_BYTES, BlockCounts};
use super::figures::Figures;
use super::latency::Latencies;
use super::tally::Tally;
use crate::filesystem::Ino;
use crate::throttle::{Direction, Request};

/// As many as a gigabyte has that is read in sequence, or as so many small files; some 700 KiB.
const MOST_CHUNKS_OF_PROCESS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// What was asked, and how many bytes were transferred.
    pub request: Request,
    /// Where it stands to the one before it.
    pub order: Order,
    /// Why it failed; 0 if it did not.
    pub errno: i32,
    /// Time spent on the source or store.
    pub service_ns: u64,
    /// Time spent waiting for the throttle; `None` if no rule made it wait.
    pub wait_ns: Option<u64>,
}

/// Where a request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Where the one before it ended, of the same opening of the file and in the same direction; or at 0, if
    /// it is the first.
    Sequential,
    /// Elsewhere.
    Random,
}

/// Counts of one direction.
#[derive(Debug, Default, Clone)]
struct Lane {
    operations: u64,
    sequential: u64,
    /// More than one page, from a page's start on.
    several_pages: u64,
    bytes: u64,
    errors: u64,
    repeated_blocks: u64,
    blocks: BlockCounts,
    /// Blocks of files merged into this one.
    merged_blocks: u64,
    sizes: Tally,
    service: Latencies,
    wait: Latencies,
    total: Latencies,
}

impl Lane {
    fn record(&mut self, answered: &Answered) {
        self.operations += 1;
        self.sequential += u64::from(answered.order == Order::Sequential);
        let Request { file, offset, bytes, .. } = answered.request;
        if answered.errno == 0 {
            self.bytes += bytes;
            self.several_pages += u64::from(bytes > BLOCK_BYTES && offset.is_multiple_of(BLOCK_BYTES));
            self.sizes.add(bytes.checked_next_power_of_two().unwrap_or(u64::MAX), 1);
            self.repeated_blocks += self.blocks.touch(file, offset, bytes).repeated;
        } else {
            self.errors += 1;
        }
        self.service.record(answered.service_ns);
        if let Some(wait_ns) = answered.wait_ns {
            self.wait.record(wait_ns);
        }
        self.total.record(answered.service_ns.saturating_add(answered.wait_ns.unwrap_or(0)));
    }

    fn merge(&mut self, other: &Lane) {
        self.operations += other.operations;
        self.sequential += other.sequential;
        self.several_pages += other.several_pages;
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.repeated_blocks += other.repeated_blocks;
        self.merged_blocks += other.distinct_blocks();
        self.sizes.merge(&other.sizes);
        self.service.merge(&other.service);
        self.wait.merge(&other.wait);
        self.total.merge(&other.total);
    }

    fn distinct_blocks(&self) -> u64 {
        self.blocks.distinct() + self.merged_blocks
    }
}

/// Counts of one file or process, or of several added up.
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
    /// Those of a process, which may use any number of files: which blocks it has touched is known within a
    /// bounded room.
    pub fn of_process() -> Self {
        let lane = || Lane { blocks: BlockCounts::bounded(MOST_CHUNKS_OF_PROCESS), ..Lane::default() };
        Counters { read: lane(), write: lane(), ..Counters::default() }
    }

    /// Reads and writes.
    pub fn transfers(&self) -> u64 {
        self.read.operations + self.write.operations
    }

    /// Counts a request.
    pub fn record(&mut self, answered: &Answered) {
        match answered.request.direction {
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

    /// How often the blocks of `ino` were read and written, in `cells` equal parts of its `blocks` blocks.
    pub fn heat(&self, ino: Ino, blocks: u64, cells: usize) -> (Vec<u64>, Vec<u64>) {
        (self.read.blocks.heat(ino, blocks, cells), self.write.blocks.heat(ino, blocks, cells))
    }

    /// The figures. Queue depths are kept elsewhere.
    pub fn figures(&self) -> Figures {
        let (read, write) = (&self.read, &self.write);
        let (read_service, read_wait, read_total) =
            (read.service.summary(), read.wait.summary(), read.total.summary());
        let (write_service, write_wait) = (write.service.summary(), write.wait.summary());
        Figures {
            open_ops: self.opens,
            read_ops: read.operations,
            read_sequential_ops: read.sequential,
            read_ahead_ops: read.several_pages,
            read_bytes: read.bytes,
            read_errors: read.errors,
            read_distinct_blocks: read.distinct_blocks(),
            read_repeat_blocks: read.repeated_blocks,
            read_wait_ns: read_wait.sum_ns,
            read_service_ns: read_service.sum_ns,
            write_ops: write.operations,
            write_sequential_ops: write.sequential,
            write_bytes: write.bytes,
            write_errors: write.errors,
            write_distinct_blocks: write.distinct_blocks(),
            write_repeat_blocks: write.repeated_blocks,
            write_wait_ns: write_wait.sum_ns,
            write_service_ns: write_service.sum_ns,
            sync_ops: self.syncs,
            punch_ops: self.punches,
            punched_bytes: self.punched_bytes,
            read_size_bytes: read.sizes.clone(),
            write_size_bytes: write.sizes.clone(),
            read_service,
            read_wait,
            read_total,
            write_service,
            write_wait,
            write_total: write.total.summary(),
            ..Figures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::Nanos;

    fn read(offset: u64, bytes: u64) -> Answered {
        let request = Request::sample(Direction::Read, offset, bytes, Nanos(0));
        Answered { request, order: Order::Sequential, errno: 0, service_ns: 10, wait_ns: None }
    }

    #[test]
    fn a_failure_counts_no_bytes_and_no_blocks() {
        let mut counters = Counters::default();
        counters.record(&read(0, 4096));
        counters.record(&read(0, 100));
        counters.record(&Answered { errno: 5, ..read(8192, 0) });
        let figures = counters.figures();
        assert_eq!((figures.read_ops, figures.read_bytes, figures.read_errors), (3, 4196, 1));
        assert_eq!((figures.read_distinct_blocks, figures.read_repeat_blocks), (1, 1));
        assert_eq!(figures.read_service_ns, 30);
        assert_eq!(figures.read_wait.count, 0);
        assert_eq!(figures.read_ahead_ops, 0);
        counters.record(&read(4096, 8192));
        counters.record(&read(4097, 8192));
        assert_eq!(counters.figures().read_ahead_ops, 1);
    }

    #[test]
    fn a_total_is_the_sum_of_its_files() {
        let (mut a, mut b, mut total) = (Counters::default(), Counters::default(), Counters::default());
        a.record(&read(0, 4096));
        b.record(&read(0, 4096));
        total.merge(&a);
        total.merge(&b);
        assert_eq!(total.figures().read_distinct_blocks, 2);
        assert_eq!(total.figures().read_bytes, 8192);
    }
}
