//! The roster: one row for each process of a run, from its start to after its end, in the control block.
//!
//! Rows are taken in order and never again, so what a process did can be read after it is gone. When all are
//! taken, later processes are only counted. A row is written by its process; its end by whoever learns of it
//! first: the process itself, its parent's wait, the supervisor.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::text::Text;

/// Rows of a run.
pub const ROWS: usize = 2048;

/// All rows.
#[repr(C)]
pub struct Roster {
    /// Processes that asked for a row; those over [`ROWS`] got none.
    pub asked: AtomicU64,
    /// In order of their start.
    pub rows: [Row; ROWS],
}

/// A process of the run.
#[repr(C)]
pub struct Row {
    /// Process id, as it sees itself; 0 until it is known.
    pub pid: AtomicU32,
    /// What numbers those are: 0 for the supervisor's, else a number of the PID namespace.
    pub space: AtomicU32,
    /// Process id, as the supervisor knows it; 0 until it is known.
    pub outer: AtomicU32,
    /// Process id of who started it.
    pub parent: AtomicU32,
    /// A [`Start`] as a number.
    pub start: AtomicU32,
    /// An [`End`], packed.
    pub end: AtomicU32,
    /// Faults that were resolved in it.
    pub faults: AtomicU64,
    /// Most pages ever resident.
    pub resident_peak: AtomicU64,
    /// Swap slots that it has.
    pub swap_now: AtomicU64,
    /// Most of them at once.
    pub swap_peak: AtomicU64,
    /// Bytes of shared memory left to the kernel that was ever mapped, or inherited by fork.
    pub unmanaged_shared: AtomicU64,
    /// The same of huge pages.
    pub unmanaged_huge: AtomicU64,
    /// The same of device memory and all else that is left to the kernel.
    pub unmanaged_device: AtomicU64,
    /// Path of the program it runs, or ran last.
    pub program: Text,
}

/// How a process came to run what it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Start {
    /// It is the run's first process.
    First = 0,
    /// It was forked, and runs its parent's program.
    Fork = 1,
    /// It executed a program.
    Exec = 2,
    /// It executed a program that runs natively.
    Native = 3,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Not yet.
    None,
    /// It exited with this status.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
    /// It is gone, and nobody of the run saw how.
    Unseen,
}

const CODE: u32 = 1 << 8;
const SIGNAL: u32 = 2 << 8;
const UNSEEN: u32 = 3 << 8;

impl Start {
    /// The start that `number` stands for.
    pub const fn from_number(number: u32) -> Start {
        match number {
            0 => Start::First,
            1 => Start::Fork,
            3 => Start::Native,
            _ => Start::Exec,
        }
    }
}

impl End {
    /// The end that a status of wait(2) tells; `None` for a stop or a continuation.
    pub const fn from_wait_status(status: u32) -> End {
        match status & 0x7f {
            0 => End::Code((status >> 8) as u8),
            0x7f => End::None,
            signal => End::Signal(signal as u8),
        }
    }

    const fn pack(self) -> u32 {
        match self {
            End::None => 0,
            End::Code(code) => CODE | code as u32,
            End::Signal(signal) => SIGNAL | signal as u32,
            End::Unseen => UNSEEN,
        }
    }

    const fn unpack(packed: u32) -> End {
        match packed & !0xff {
            CODE => End::Code(packed as u8),
            SIGNAL => End::Signal(packed as u8),
            UNSEEN => End::Unseen,
            _ => End::None,
        }
    }
}

impl Roster {
    /// Takes the next row, for process `pid` of `space`; its number, or nothing when all are taken.
    pub fn take(&self, pid: u32, space: u32, parent: u32, start: Start) -> Option<usize> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let row = usize::try_from(number).ok().filter(|number| *number < ROWS)?;
        self.rows[row].parent.store(parent, Ordering::Relaxed);
        self.rows[row].start.store(start as u32, Ordering::Relaxed);
        self.rows[row].name(pid, space);
        Some(row)
    }

    /// The rows that were taken.
    pub fn taken(&self) -> &[Row] {
        let taken = usize::try_from(self.asked.load(Ordering::Relaxed)).map_or(ROWS, |asked| asked.min(ROWS));
        &self.rows[..taken]
    }

    /// How many processes got no row.
    pub fn dropped(&self) -> u64 {
        self.asked.load(Ordering::Relaxed).saturating_sub(ROWS as u64)
    }

    /// The last row of the process that is `pid` in `space`, if it may still run. In the supervisor's, 0,
    /// that is any process.
    pub fn of(&self, pid: u32, space: u32) -> Option<&Row> {
        let of_it = |row: &&Row| match space {
            0 => row.outer.load(Ordering::Acquire) == pid,
            _ => row.pid.load(Ordering::Acquire) == pid && row.space.load(Ordering::Relaxed) == space,
        };
        self.taken().iter().rev().find(of_it).filter(|row| matches!(row.end(), End::None | End::Unseen))
    }
}

impl Row {
    /// Notes whose row it is.
    pub fn name(&self, pid: u32, space: u32) {
        self.space.store(space, Ordering::Relaxed);
        self.outer.store(if space == 0 { pid } else { 0 }, Ordering::Release);
        self.pid.store(pid, Ordering::Release);
    }

    /// Process id, as the supervisor knows it, or as good as it is known.
    pub fn shown_pid(&self) -> u32 {
        match self.outer.load(Ordering::Acquire) {
            0 => self.pid.load(Ordering::Acquire),
            outer => outer,
        }
    }

    /// How the process ended.
    pub fn end(&self) -> End {
        End::unpack(self.end.load(Ordering::Relaxed))
    }

    /// Notes how it ended, unless that is known.
    pub fn note_end(&self, end: End) {
        let keep = |seen: u32| match (End::unpack(seen), end) {
            (End::None, _) => Some(end.pack()),
            (End::Unseen, End::Code(_) | End::Signal(_)) => Some(end.pack()),
            _ => None,
        };
        let _ = self.end.fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep);
    }

    /// Notes `slots` more of swap.
    pub fn add_swap(&self, slots: u64) {
        let now = self.swap_now.fetch_add(slots, Ordering::Relaxed) + slots;
        self.swap_peak.fetch_max(now, Ordering::Relaxed);
    }

    /// Notes one slot less.
    pub fn remove_swap(&self) {
        let less = |now: u64| Some(now.saturating_sub(1));
        let _ = self.swap_now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let zero = AtomicU64::default;
        Row {
            pid: AtomicU32::new(7),
            space: AtomicU32::new(0),
            outer: AtomicU32::new(7),
            parent: AtomicU32::new(1),
            start: AtomicU32::new(Start::Fork as u32),
            end: AtomicU32::new(0),
            faults: zero(),
            resident_peak: zero(),
            swap_now: zero(),
            swap_peak: zero(),
            unmanaged_shared: zero(),
            unmanaged_huge: zero(),
            unmanaged_device: zero(),
            program: Text {
                len: AtomicU32::new(0),
                bytes: [const { core::sync::atomic::AtomicU8::new(0) }; 256],
            },
        }
    }

    #[test]
    fn ends_and_starts_survive_packing() {
        for end in [End::None, End::Code(0), End::Code(255), End::Signal(9), End::Signal(64), End::Unseen] {
            assert_eq!(End::unpack(end.pack()), end);
        }
        for start in [Start::First, Start::Fork, Start::Exec, Start::Native] {
            assert_eq!(Start::from_number(start as u32), start);
        }
    }

    #[test]
    fn wait_statuses_are_those_of_wait_2() {
        assert_eq!(End::from_wait_status(3 << 8), End::Code(3));
        assert_eq!(End::from_wait_status(11 | 0x80), End::Signal(11));
        assert_eq!(End::from_wait_status(20 << 8 | 0x7f), End::None);
        assert_eq!(End::from_wait_status(0xffff), End::None);
    }

    #[test]
    fn what_is_known_of_an_end_stays_and_what_was_unseen_may_be_learnt() {
        let row = row();
        row.note_end(End::Unseen);
        row.note_end(End::Signal(9));
        row.note_end(End::Code(0));
        assert_eq!(row.end(), End::Signal(9));
    }

    #[test]
    fn swap_goes_up_and_down_and_not_below_nothing() {
        let row = row();
        row.add_swap(3);
        (0..5).for_each(|_| row.remove_swap());
        row.add_swap(2);
        assert_eq!((row.swap_now.load(Ordering::Relaxed), row.swap_peak.load(Ordering::Relaxed)), (2, 3));
    }
}
