//! A memory of pages that were evicted of late.
//!
//! A set-associative table of fingerprints with the time of eviction, as in the S3-FIFO paper (Yang et al.,
//! SOSP 2023, section 4.2): four bytes a ghost, its rank among them, instead of a queue with its own index.
//! Time is counted in evictions. One page in 16,000 is taken for a ghost wrongly, and some ghosts are lost
//! early where their set is crowded; both only make the policy a little worse.

use alloc::vec;
use alloc::vec::Vec;

use crate::addr::PageNum;
use crate::replacement::ledger::{hash, spread};

const WAYS: usize = 4;
const VACANT: u32 = 0;
/// How finely a lifetime is measured; far below what a stamp can hold, so that it is overwritten long before
/// it comes round again.
const TICKS: u64 = 1024;
const TICK_BITS: u32 = 13;
const TICK_MASK: u32 = (1 << TICK_BITS) - 1;
/// The largest rank that a ghost can have.
pub const MOST_RANK: u8 = (1 << (16 - TICK_BITS)) - 1;

/// Pages evicted during the last `lifetime` evictions.
#[derive(Debug)]
pub struct Ghosts {
    /// `fingerprint << 16 | rank << 13 | tick`; allocated by the first eviction.
    cells: Vec<u32>,
    lifetime: u64,
    evictions: u64,
}

impl Ghosts {
    /// None yet. Does not allocate.
    pub fn new(lifetime: u64) -> Ghosts {
        Ghosts { cells: Vec::new(), lifetime: lifetime.max(1), evictions: 0 }
    }

    /// `page`, of a rank of at most [`MOST_RANK`], is being evicted.
    pub fn insert(&mut self, page: PageNum, rank: u8) {
        if self.cells.is_empty() {
            let sets = self.lifetime.div_ceil(WAYS as u64) as usize;
            self.cells = vec![VACANT; sets * WAYS];
        }
        self.evictions += 1;
        let now = self.tick();
        let print = fingerprint(page);
        let set = self.set(page);
        let same = set.iter().position(|&cell| cell >> 16 == print);
        let oldest = |set: &[u32]| (0..WAYS).max_by_key(|&way| age_key(set[way], now)).unwrap_or(0);
        let way = same.unwrap_or_else(|| oldest(set));
        set[way] = print << 16 | u32::from(rank.min(MOST_RANK)) << TICK_BITS | now;
    }

    /// The rank of `page` if it went not long ago. It is a ghost no more.
    pub fn take(&mut self, page: PageNum) -> Option<u8> {
        if self.cells.is_empty() {
            return None;
        }
        let now = self.tick();
        let ticks = self.lifetime.div_ceil(self.tick_len());
        let print = fingerprint(page);
        let cell = self.set(page).iter_mut().find(|cell| **cell >> 16 == print)?;
        let (age, rank) = (age(*cell, now), (*cell >> TICK_BITS) as u8 & MOST_RANK);
        *cell = VACANT;
        (u64::from(age) <= ticks).then_some(rank)
    }

    /// Number of cells.
    pub fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// Bytes of heap memory in use.
    pub fn memory_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<u32>()
    }

    fn tick_len(&self) -> u64 {
        self.lifetime.div_ceil(TICKS)
    }

    fn tick(&self) -> u32 {
        (self.evictions / self.tick_len()) as u32 & TICK_MASK
    }

    fn set(&mut self, page: PageNum) -> &mut [u32] {
        let first = spread(page, self.cells.len() / WAYS) * WAYS;
        &mut self.cells[first..first + WAYS]
    }
}

/// Vacant cells are older than all others.
fn age_key(cell: u32, now: u32) -> u32 {
    if cell == VACANT { u32::MAX } else { age(cell, now) }
}

/// Ticks since a ghost went.
fn age(cell: u32, now: u32) -> u32 {
    now.wrapping_sub(cell) & TICK_MASK
}

/// 16 bits of the hash that do not choose the set, never zero.
fn fingerprint(page: PageNum) -> u32 {
    (hash(page) as u16).max(1).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: PageNum = PageNum(0x7_1234);
    const OTHER: PageNum = PageNum(0x5_4321);

    /// Lifetimes that are measured by the eviction, and by the tick of several.
    #[test]
    fn a_ghost_lives_for_its_lifetime_and_no_longer() {
        for lifetime in [1, 2, 100, 3 * TICKS, 10 * TICKS + 7] {
            for (evictions, remembered) in [(0, true), (lifetime / 2, true), (2 * lifetime + 2, false)] {
                let mut ghosts = Ghosts::new(lifetime);
                ghosts.cells = vec![VACANT; 64 * WAYS];
                ghosts.insert(GONE, 5);
                (0..evictions).for_each(|_| ghosts.insert(OTHER, MOST_RANK));
                assert_eq!(ghosts.take(GONE), remembered.then_some(5), "{evictions} of {lifetime}");
                assert_eq!(ghosts.take(GONE), None, "taken once");
            }
        }
    }

    #[test]
    fn a_crowded_set_loses_its_oldest() {
        let mut ghosts = Ghosts::new(4);
        (0..5).for_each(|page| ghosts.insert(PageNum(page), page as u8));
        assert_eq!(ghosts.capacity(), 4);
        assert_eq!(ghosts.take(PageNum(0)), None);
        (1..5).for_each(|page| assert_eq!(ghosts.take(PageNum(page)), Some(page as u8)));
    }

    #[test]
    fn strangers_are_hardly_ever_taken_for_ghosts() {
        let mut ghosts = Ghosts::new(100_000);
        (0..100_000).for_each(|page| ghosts.insert(PageNum(page), 0));
        let kept = (0..100_000).filter(|&page| ghosts.take(PageNum(page)).is_some()).count();
        assert!(kept > 75_000, "{kept} kept");
        (0..100_000).for_each(|page| ghosts.insert(PageNum(page), 0));
        let wrong = (200_000..300_000).filter(|&page| ghosts.take(PageNum(page)).is_some()).count();
        assert!(wrong < 30, "{wrong} taken wrongly");
    }
}
