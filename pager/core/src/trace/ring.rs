//! The buffer in shared memory through which the processes of a run hand events to their supervisor.
//!
//! Many threads of many processes write, one thread reads. A writer reserves a cell by advancing `reserved`,
//! fills it in and stamps it with its number; the reader takes cells in the order of their numbers. Nobody
//! ever waits: where the reader is a whole ring behind, the event is dropped and counted. A writer that is
//! killed between reserving and stamping leaves a cell that is never stamped: the reader skips it once later
//! ones have been stamped for long enough ([`Ring::skip`]).
//!
//! All of it is atomics, because the program can write here too: whatever it writes, the reader gets events
//! or nothing, and never panics.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{Departure, FaultKind, Use, What, access_from_number, access_number};
use crate::addr::{PageNum, PageRange};
use crate::area::Protection;

const WORDS: usize = 5;
const PAGE_BITS: u32 = 40;
const PAGE_MASK: u64 = (1 << PAGE_BITS) - 1;
const KIND_SHIFT: u32 = 40;
const DETAIL_SHIFT: u32 = 48;
/// Of the details of mapped memory: the protection stands below.
const USE_SHIFT: u32 = 3;

const FAULT: u8 = 0;
const EVICT: u8 = 1;
const MAP: u8 = 2;
const DISCARD: u8 = 3;
const FORK: u8 = 4;
const EXEC: u8 = 5;
const MOVE: u8 = 6;

/// What precedes the cells.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Head {
    /// Cells reserved so far.
    reserved: AtomicU64,
    /// Events that found no room.
    dropped: AtomicU64,
    _writers: [u64; 6],
    /// Cells taken by the reader so far.
    taken: AtomicU64,
    _reader: [u64; 7],
}

/// Room for one event.
#[repr(C)]
#[derive(Default)]
pub struct Cell {
    /// One more than the cell's number once it is filled in.
    stamp: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// An event with the processor's time stamp counter for a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw {
    /// The counter when it ended.
    pub ticks: u64,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// What happened; a cost is in ticks, not nanoseconds, and at most 2^32 - 1.
    pub what: What,
}

/// A ring over memory that somebody else holds.
#[derive(Clone, Copy)]
pub struct Ring<'a> {
    head: &'a Head,
    cells: &'a [Cell],
}

/// What a look at the next cell found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// An event.
    Event(Raw),
    /// A cell with nonsense in it.
    Nonsense,
    /// A cell that its writer has not finished.
    Unfinished,
    /// Nothing.
    Empty,
}

impl<'a> Ring<'a> {
    /// A ring over `head` and `cells`, all zero at first.
    pub fn new(head: &'a Head, cells: &'a [Cell]) -> Ring<'a> {
        Ring { head, cells }
    }

    /// Bytes that a ring with `cells` cells takes.
    pub const fn bytes(cells: u64) -> u64 {
        size_of::<Head>() as u64 + cells * size_of::<Cell>() as u64
    }

    /// Adds an event, or counts it as dropped.
    pub fn put(&self, raw: &Raw) {
        let Some(number) = self.reserve() else {
            self.head.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let cell = self.cell(number);
        for (word, value) in cell.words.iter().zip(words(raw)) {
            word.store(value, Ordering::Relaxed);
        }
        cell.stamp.store(number + 1, Ordering::Release);
    }

    fn reserve(&self) -> Option<u64> {
        let mut number = self.head.reserved.load(Ordering::Relaxed);
        loop {
            if !has_room(number, self.head.taken.load(Ordering::Acquire), self.cells.len()) {
                return None;
            }
            match self.head.reserved.compare_exchange_weak(
                number,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(number),
                Err(seen) => number = seen,
            }
        }
    }

    fn cell(&self, number: u64) -> &'a Cell {
        &self.cells[(number % self.cells.len() as u64) as usize]
    }

    /// Takes the next cell if it is finished. One reader at a time.
    pub fn take(&self) -> Next {
        let number = self.head.taken.load(Ordering::Relaxed);
        if number == self.head.reserved.load(Ordering::Acquire) {
            return Next::Empty;
        }
        let cell = self.cell(number);
        if cell.stamp.load(Ordering::Acquire) != number + 1 {
            return Next::Unfinished;
        }
        let words: [u64; WORDS] = core::array::from_fn(|i| cell.words[i].load(Ordering::Relaxed));
        self.head.taken.store(number.wrapping_add(1), Ordering::Release);
        event(words).map_or(Next::Nonsense, Next::Event)
    }

    /// Gives up the next cell, whose writer does not finish it; it counts as dropped.
    pub fn skip(&self) {
        self.head.dropped.fetch_add(1, Ordering::Relaxed);
        self.head.taken.fetch_add(1, Ordering::Release);
    }

    /// Events that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.head.dropped.load(Ordering::Relaxed)
    }

    /// Cells reserved and not taken yet.
    pub fn waiting(&self) -> u64 {
        self.head.reserved.load(Ordering::Relaxed).wrapping_sub(self.head.taken.load(Ordering::Relaxed))
    }
}

/// Whether a ring of `cells` has room for the cell `number` when those before `taken` are free again.
/// `number` may be older than `taken`: then others have reserved it meanwhile, and there is room for a later
/// one.
const fn has_room(number: u64, taken: u64, cells: usize) -> bool {
    (number.wrapping_sub(taken) as i64) < cells as i64
}

fn words(raw: &Raw) -> [u64; WORDS] {
    let place = |range: PageRange, kind: u8, detail: u8| {
        range.start().0 & PAGE_MASK | u64::from(kind) << KIND_SHIFT | u64::from(detail) << DETAIL_SHIFT
    };
    let (place, extra, size) = match raw.what {
        What::Fault { kind, access, touched, range, instruction, cost_ns } => (
            place(range, FAULT, kind as u8 | access_number(access) << 4),
            instruction,
            range.count().min(0xffff) | u64::from(touched) << 16 | cost_ns.min(u32::MAX.into()) << 32,
        ),
        What::Evict { how, range } => (place(range, EVICT, how as u8), 0, range.count()),
        What::Map { range, protection, purpose, image } => (
            place(
                range,
                MAP,
                protection.bits() | (purpose as u8) << USE_SHIFT | u8::from(image.is_some()) << 7,
            ),
            image.map_or(0, |(image, page)| u64::from(image) << 48 | page & ((1 << 48) - 1)),
            range.count(),
        ),
        What::Discard { range } => (place(range, DISCARD, 0), 0, range.count()),
        What::Move { range, to } => (place(range, MOVE, 0), to.0, range.count()),
        What::Fork { parent } => (u64::from(FORK) << KIND_SHIFT, parent.into(), 0),
        What::Exec => (u64::from(EXEC) << KIND_SHIFT, 0, 0),
    };
    [raw.ticks, place, extra, u64::from(raw.pid) << 32 | u64::from(raw.tid), size]
}

fn event([ticks, place, extra, who, size]: [u64; WORDS]) -> Option<Raw> {
    let start = PageNum(place & PAGE_MASK);
    let detail = (place >> DETAIL_SHIFT) as u8;
    let what = match (place >> KIND_SHIFT) as u8 {
        FAULT => {
            let (range, touched) = (PageRange::with_count(start, size & 0xffff)?, (size >> 16) as u16);
            What::Fault {
                kind: FaultKind::from_number(detail & 0xf)?,
                access: access_from_number(detail >> 4)?,
                touched: if u64::from(touched) < range.count() { touched } else { return None },
                range,
                instruction: extra,
                cost_ns: size >> 32,
            }
        }
        EVICT => What::Evict {
            how: Departure::from_number(detail)?,
            range: PageRange::with_count(start, size & 0xffff)?,
        },
        MAP => What::Map {
            range: PageRange::with_count(start, size & PAGE_MASK)?,
            protection: Protection::from_bits_truncate(detail & 0x7),
            purpose: Use::from_number(detail >> USE_SHIFT & 0x7)?,
            image: (detail & 0x80 != 0).then_some(((extra >> 48) as u16, extra & ((1 << 48) - 1))),
        },
        DISCARD => What::Discard { range: PageRange::with_count(start, size & PAGE_MASK)? },
        MOVE => What::Move {
            range: PageRange::with_count(start, size & PAGE_MASK)?,
            to: PageNum(extra & PAGE_MASK),
        },
        FORK => What::Fork { parent: extra as u32 },
        EXEC => What::Exec,
        _ => return None,
    };
    Some(Raw { ticks, pid: (who >> 32) as u32, tid: who as u32, what })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::samples;

    fn cells(count: usize) -> Vec<Cell> {
        (0..count).map(|_| Cell::default()).collect()
    }

    fn raw(ticks: u64) -> Raw {
        Raw { ticks, pid: 1, tid: 2, what: What::Exec }
    }

    proptest! {
        #[test]
        fn events_come_out_as_they_went_in(events in proptest::collection::vec(samples::event(), 1..200)) {
            let (head, cells) = (Head::default(), cells(64));
            let ring = Ring::new(&head, &cells);
            for chunk in events.chunks(64) {
                let raws: Vec<Raw> =
                    chunk.iter().map(|e| Raw { ticks: e.time_ns, pid: e.pid, tid: e.tid, what: e.what }).collect();
                raws.iter().for_each(|raw| ring.put(raw));
                for raw in &raws {
                    prop_assert_eq!(ring.take(), Next::Event(*raw));
                }
                prop_assert_eq!(ring.take(), Next::Empty);
            }
        }

        #[test]
        fn no_words_make_it_panic(words: [u64; WORDS]) {
            let _ = event(words);
        }
    }

    #[test]
    fn a_number_that_others_took_and_the_reader_passed_is_no_full_ring() {
        assert!(has_room(0, 0, 4) && has_room(3, 0, 4) && has_room(5, 7, 4));
        assert!(!has_room(4, 0, 4) && !has_room(5, 1, 4));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (head, cells) = (Head::default(), cells(4));
        let ring = Ring::new(&head, &cells);
        (0..6).for_each(|ticks| ring.put(&raw(ticks)));
        assert_eq!((ring.dropped(), ring.waiting()), (2, 4));
        assert_eq!(ring.take(), Next::Event(raw(0)));
        ring.put(&raw(9));
        let left: Vec<Next> = (0..5).map(|_| ring.take()).collect();
        assert_eq!(left[3], Next::Event(raw(9)));
        assert_eq!(left[4], Next::Empty);
    }

    #[test]
    fn a_cell_that_its_writer_left_can_be_skipped() {
        let (head, cells) = (Head::default(), cells(4));
        let ring = Ring::new(&head, &cells);
        assert_eq!(ring.reserve(), Some(0));
        ring.put(&raw(1));
        assert_eq!(ring.take(), Next::Unfinished);
        ring.skip();
        assert_eq!((ring.take(), ring.dropped()), (Next::Event(raw(1)), 1));
    }

    #[test]
    fn many_writers_lose_nothing_while_there_is_room() {
        let (head, cells) = (Head::default(), cells(1 << 14));
        let ring = Ring::new(&head, &cells);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || (0..4000).for_each(|i| ring.put(&Raw { tid: thread, ..raw(i) })));
            }
        });
        let mut next = [0; 4];
        while let Next::Event(raw) = ring.take() {
            assert_eq!(raw.ticks, next[raw.tid as usize], "each thread's in their order");
            next[raw.tid as usize] += 1;
        }
        assert_eq!((next, ring.dropped()), ([4000; 4], 0));
    }
}
