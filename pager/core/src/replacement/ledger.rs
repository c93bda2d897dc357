//! Queues of pages with an index: each page is in at most one queue, once, and is found there without a
//! search.
//!
//! ```text
//!   index:  hash(page) -> [ lane | number ]      4 bytes an entry, 78 to 85 % full
//!                              |
//!   lane:   head -> [page][page][hole][page] <- tail     8 bytes a page, in chunks, its note among them
//! ```
//!
//! Taking a page out of the middle leaves a hole; a lane with one hole for ten pages is packed. Numbers count
//! what was ever appended to a lane, modulo [`NUMBERS`], so they stay right while the head moves on.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::addr::{PageNum, PageRange};

const CHUNK: usize = 512;
/// How many numbers there are before they repeat; one less than the index has room for, so that no index
/// entry looks vacant.
const NUMBERS: u32 = (1 << 31) - 1;
const LANE_SHIFT: u32 = 31;
const VACANT: u32 = u32::MAX;
const HOLE: u64 = u64::MAX;
/// Where the note stands in a cell: page numbers have 36 bits.
const NOTE_SHIFT: u32 = 56;

/// What a policy keeps with a page.
pub type Note = u8;

const fn cell_of(page: PageNum, note: Note) -> u64 {
    page.0 | (note as u64) << NOTE_SHIFT
}

const fn page_in(cell: u64) -> PageNum {
    PageNum(cell & ((1 << NOTE_SHIFT) - 1))
}

const fn note_in(cell: u64) -> Note {
    (cell >> NOTE_SHIFT) as Note
}

/// Where a page stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which lane.
    pub lane: usize,
    /// How many pages and holes stand before it.
    pub depth: usize,
    /// What was noted when it was appended.
    pub note: Note,
}

/// One queue.
#[derive(Default, Debug)]
struct Lane {
    chunks: VecDeque<Box<[u64; CHUNK]>>,
    spare: Option<Box<[u64; CHUNK]>>,
    /// Position in the first chunk of the first cell in use.
    head: usize,
    /// Cells in use, holes included.
    cells: usize,
    /// Cells that hold a page.
    pages: usize,
    /// Number of the first cell in use.
    first: u32,
}

impl Lane {
    fn cell(&self, depth: usize) -> u64 {
        let at = self.head + depth;
        self.chunks[at / CHUNK][at % CHUNK]
    }

    fn set(&mut self, depth: usize, value: u64) {
        let at = self.head + depth;
        self.chunks[at / CHUNK][at % CHUNK] = value;
    }

    fn depth(&self, number: u32) -> usize {
        ((u64::from(number) + u64::from(NUMBERS - self.first)) % u64::from(NUMBERS)) as usize
    }

    fn number(&self, depth: usize) -> u32 {
        ((u64::from(self.first) + depth as u64) % u64::from(NUMBERS)) as u32
    }

    fn push(&mut self, cell: u64) -> u32 {
        let depth = self.cells;
        if self.head + depth == self.chunks.len() * CHUNK {
            let chunk = self.spare.take().unwrap_or_else(|| Box::new([HOLE; CHUNK]));
            self.chunks.push_back(chunk);
        }
        self.cells += 1;
        self.pages += 1;
        self.set(depth, cell);
        self.number(depth)
    }

    fn punch(&mut self, depth: usize) {
        self.set(depth, HOLE);
        self.pages -= 1;
    }

    /// Gives up the holes at the head.
    fn trim(&mut self) {
        while self.cells > 0 && self.cell(0) == HOLE {
            self.first = self.number(1);
            self.cells -= 1;
            self.head += 1;
            if self.head == CHUNK {
                self.spare = self.chunks.pop_front();
                self.head = 0;
            }
        }
    }

    /// The first cell that holds a page.
    fn front(&self) -> Option<u64> {
        (0..self.cells).map(|depth| self.cell(depth)).find(|&cell| cell != HOLE)
    }

    fn memory_bytes(&self) -> usize {
        let chunks = self.chunks.len() + usize::from(self.spare.is_some());
        chunks * size_of::<[u64; CHUNK]>() + self.chunks.capacity() * size_of::<usize>()
    }
}

/// `LANES` queues (one or two) and the index over them.
#[derive(Debug)]
pub struct Ledger<const LANES: usize> {
    lanes: [Lane; LANES],
    index: Vec<u32>,
}

impl<const LANES: usize> Ledger<LANES> {
    const LANES_FIT: () = assert!(LANES <= 2, "the index has one bit for the lane");

    /// No pages. Does not allocate.
    pub fn new() -> Ledger<LANES> {
        let () = Self::LANES_FIT;
        Ledger { lanes: core::array::from_fn(|_| Lane::default()), index: Vec::new() }
    }

    /// Pages in all lanes.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.pages).sum()
    }

    /// Pages in one lane.
    pub fn lane_len(&self, lane: usize) -> usize {
        self.lanes[lane].pages
    }

    /// Where `page` stands, if it is here.
    pub fn find(&self, page: PageNum) -> Option<Place> {
        self.bucket_of(page).map(|bucket| self.place(self.index[bucket]))
    }

    /// Appends `page` to a lane, taking it from where it stood.
    pub fn push(&mut self, lane: usize, page: PageNum, note: Note) {
        self.take(page);
        if (self.len() + 1) * 100 > self.index.len() * 85 {
            self.rebuild(self.index.len() + self.index.len() / 12 + 64);
        }
        let number = self.lanes[lane].push(cell_of(page, note));
        self.enter(page, lane, number);
    }

    /// The first page of a lane, and its note.
    pub fn first(&self, lane: usize) -> Option<(PageNum, Note)> {
        self.lanes[lane].front().map(|cell| (page_in(cell), note_in(cell)))
    }

    /// Takes the first page of a lane, and its note.
    pub fn pop(&mut self, lane: usize) -> Option<(PageNum, Note)> {
        self.lanes[lane].trim();
        let first = self.first(lane)?;
        self.take(first.0);
        Some(first)
    }

    /// Moves the first page of a lane to its end, with another note.
    pub fn turn(&mut self, lane: usize, note: Note) {
        let Some((page, _)) = self.first(lane) else { return };
        let Some(bucket) = self.bucket_of(page) else { return };
        let depth = self.place(self.index[bucket]).depth;
        let number = self.lanes[lane].push(cell_of(page, note));
        self.lanes[lane].punch(depth);
        self.lanes[lane].trim();
        self.index[bucket] = (lane as u32) << LANE_SHIFT | number;
    }

    /// Takes `page` from where it stands; whether it was here.
    pub fn take(&mut self, page: PageNum) -> bool {
        let Some(bucket) = self.bucket_of(page) else { return false };
        let place = self.place(self.index[bucket]);
        self.vacate(bucket);
        let lane = &mut self.lanes[place.lane];
        lane.punch(place.depth);
        lane.trim();
        if lane.cells > lane.pages + lane.pages / 10 + CHUNK {
            self.pack(place.lane);
        }
        true
    }

    /// Takes all pages of `range`.
    pub fn take_range(&mut self, range: PageRange) {
        if range.count() <= self.len() as u64 {
            range.iter().for_each(|page| {
                self.take(page);
            });
        } else {
            self.retain(|page| !range.contains(page));
        }
    }

    /// Takes all pages for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(PageNum) -> bool) {
        for lane in &mut self.lanes {
            for depth in 0..lane.cells {
                let cell = lane.cell(depth);
                if cell != HOLE && !keep(page_in(cell)) {
                    lane.punch(depth);
                }
            }
            lane.trim();
        }
        for lane in 0..LANES {
            self.squeeze(lane);
        }
        self.rebuild(self.index.len());
    }

    /// Bytes of heap memory in use.
    pub fn memory_bytes(&self) -> usize {
        let lanes: usize = self.lanes.iter().map(Lane::memory_bytes).sum();
        lanes + self.index.capacity() * size_of::<u32>()
    }

    /// Moves the pages of a lane together, in order.
    fn pack(&mut self, lane: usize) {
        self.squeeze(lane);
        self.rebuild(self.index.len());
    }

    /// The part of packing that leaves the index wrong.
    fn squeeze(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        let mut filled = 0;
        for depth in 0..lane.cells {
            let cell = lane.cell(depth);
            if cell != HOLE {
                lane.set(filled, cell);
                filled += 1;
            }
        }
        lane.cells = filled;
        lane.chunks.truncate((lane.head + filled).div_ceil(CHUNK));
    }

    /// Makes the index anew with `buckets` places.
    fn rebuild(&mut self, buckets: usize) {
        self.index.clear();
        self.index.reserve_exact(buckets);
        self.index.resize(buckets, VACANT);
        for lane in 0..LANES {
            for depth in 0..self.lanes[lane].cells {
                let cell = self.lanes[lane].cell(depth);
                if cell != HOLE {
                    self.enter(page_in(cell), lane, self.lanes[lane].number(depth));
                }
            }
        }
    }

    /// Writes a page that is not in the index into it.
    fn enter(&mut self, page: PageNum, lane: usize, number: u32) {
        let mut bucket = self.home(page);
        while self.index[bucket] != VACANT {
            bucket = self.next(bucket);
        }
        self.index[bucket] = (lane as u32) << LANE_SHIFT | number;
    }

    /// Empties a bucket and moves those behind it that belong before it (deletion of linear probing, Knuth
    /// 6.4 algorithm R).
    fn vacate(&mut self, bucket: usize) {
        let mut hole = bucket;
        let mut seen = self.next(hole);
        while self.index[seen] != VACANT {
            let home = self.home(self.page(self.index[seen]));
            // Whether `home` lies cyclically in (hole, seen]: then the entry must stay.
            let stays = if hole <= seen { hole < home && home <= seen } else { hole < home || home <= seen };
            if !stays {
                self.index[hole] = self.index[seen];
                hole = seen;
            }
            seen = self.next(seen);
        }
        self.index[hole] = VACANT;
    }

    fn bucket_of(&self, page: PageNum) -> Option<usize> {
        if self.index.is_empty() {
            return None;
        }
        let mut bucket = self.home(page);
        while self.index[bucket] != VACANT {
            if self.page(self.index[bucket]) == page {
                return Some(bucket);
            }
            bucket = self.next(bucket);
        }
        None
    }

    fn place(&self, entry: u32) -> Place {
        let lane = (entry >> LANE_SHIFT) as usize;
        let depth = self.lanes[lane].depth(entry & NUMBERS);
        Place { lane, depth, note: note_in(self.lanes[lane].cell(depth)) }
    }

    fn page(&self, entry: u32) -> PageNum {
        let lane = &self.lanes[(entry >> LANE_SHIFT) as usize];
        page_in(lane.cell(lane.depth(entry & NUMBERS)))
    }

    fn home(&self, page: PageNum) -> usize {
        spread(page, self.index.len())
    }

    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.index.len() { 0 } else { bucket + 1 }
    }
}

/// Maps a page to one of `buckets`, evenly: multiplicative hashing, then scaling (Lemire's reduction) instead
/// of a remainder.
pub fn spread(page: PageNum, buckets: usize) -> usize {
    ((u128::from(hash(page)) * buckets as u128) >> 64) as usize
}

/// A hash whose high bits depend on all of the page number.
pub fn hash(page: PageNum) -> u64 {
    let mixed = (page.0 ^ page.0 >> 17).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
