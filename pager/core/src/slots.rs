//! Swap slots: which pages of a swap file are taken, and by how many.
//!
//! The map is borrowed atomics, so it can lie in memory that all processes of a run share: a forked child
//! co-owns its parent's slots. Every operation is lock-free, and a process that is killed in the middle of
//! one loses at most the slots it was about to get. Does no I/O and keeps no contents; where the checksum of
//! a slot is kept is the caller's business.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::addr::PAGE_SIZE;

/// How far past the first free slot a search for a long run goes on, in slots. Beyond that a shorter run will
/// do: it costs one more write, a longer search costs every eviction.
const SEARCH_SLOTS: u32 = 4096;

/// Consecutive slots, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotRun {
    /// The lowest.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Why a slot cannot have one more owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum SlotError {
    /// Nobody owns it, so there is nothing to share.
    #[error("swap slot {slot} has no owner")]
    Unowned {
        /// Its index.
        slot: u32,
    },
    /// 255 owners are the most. The caller gives the new owner a copy.
    #[error("swap slot {slot} has as many owners as can be counted")]
    Saturated {
        /// Its index.
        slot: u32,
    },
}

/// What [`SlotMap::release`] left behind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub enum Released {
    /// Others own the slot still.
    StillOwned,
    /// Nobody does: it can be allocated again.
    Free,
}

/// The slots of one swap file.
#[derive(Clone, Copy, Debug)]
pub struct SlotMap<'a> {
    /// Owners of each slot; 0 for a free one.
    pub owners: &'a [AtomicU8],
    /// Slots that are not free. Follows `owners` by a moment.
    pub used: &'a AtomicU64,
    /// Most slots ever not free at once.
    pub peak: &'a AtomicU64,
    /// Where the next search starts; any value will do.
    pub hint: &'a AtomicU64,
}

impl SlotMap<'_> {
    /// Takes up to `wanted` consecutive free slots, each with one owner: the first run of `wanted` at or
    /// after the hint (next fit, so that what is evicted together lies together), or the longest seen within
    /// a bounded search. `None` only if a pass over the whole map found every slot taken, or if none is
    /// wanted.
    pub fn allocate(&self, wanted: u32) -> Option<SlotRun> {
        if wanted == 0 {
            return None;
        }
        loop {
            let run = self.search(wanted)?;
            if let Some(taken) = self.claim(run) {
                self.count_taken(taken);
                return Some(taken);
            }
            // Another thread was quicker, so the system as a whole has moved on.
        }
    }

    /// Adds an owner.
    pub fn share(&self, slot: u32) -> Result<(), SlotError> {
        let cell = self.owners.get(slot as usize).ok_or(SlotError::Unowned { slot })?;
        let more = |owners: u8| if owners == 0 { None } else { owners.checked_add(1) };
        match cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(()),
            Err(0) => Err(SlotError::Unowned { slot }),
            Err(_) => Err(SlotError::Saturated { slot }),
        }
    }

    /// Takes an owner away. Releasing a free slot or one outside the map is an error of the caller: debug
    /// builds panic, others change nothing and answer [`Released::StillOwned`].
    pub fn release(&self, slot: u32) -> Released {
        let before = self.owners.get(slot as usize).and_then(|cell| {
            cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owners| owners.checked_sub(1)).ok()
        });
        debug_assert!(before.is_some(), "swap slot {slot} released by one who does not own it");
        if before != Some(1) {
            return Released::StillOwned;
        }
        self.used.fetch_sub(1, Ordering::Relaxed);
        Released::Free
    }

    /// How many own the slot; 0 for a free one or one outside the map.
    pub fn owners(&self, slot: u32) -> u8 {
        self.owners.get(slot as usize).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    /// Where to search: at the hint, or from the map's start again once most of what lies before the hint is
    /// free. So a swap file grows to about twice what is in it at once, however much passes through it.
    fn start(&self) -> u64 {
        let hint = self.hint.load(Ordering::Relaxed);
        let used = self.used.load(Ordering::Relaxed);
        if hint > used.saturating_mul(2).saturating_add(u64::from(SEARCH_SLOTS)) { 0 } else { hint }
    }

    /// The first run of `wanted` free slots from the hint on and around the end of the map, or the longest
    /// seen when the search has gone on long enough after the first free slot.
    fn search(&self, wanted: u32) -> Option<SlotRun> {
        let slots = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        let from = self.start().checked_rem(u64::from(slots))? as u32;
        let mut best: Option<SlotRun> = None;
        let mut run = SlotRun { first: from, count: 0 };
        let mut left = slots;
        for slot in (from..slots).chain(0..from) {
            if left == 0 {
                break;
            }
            left -= 1;
            if self.owners[slot as usize].load(Ordering::Relaxed) != 0 {
                run.count = 0;
                continue;
            }
            // A run does not go on around the end of the map.
            if run.count == 0 || slot == 0 {
                run = SlotRun { first: slot, count: 0 };
            }
            run.count += 1;
            if best.is_none() {
                left = left.min(SEARCH_SLOTS);
            }
            if best.is_none_or(|best| best.count < run.count) {
                best = Some(run);
            }
            if run.count == wanted {
                break;
            }
        }
        best
    }

    /// Takes as many slots from the start of `run` as are still free.
    fn claim(&self, run: SlotRun) -> Option<SlotRun> {
        let cells = &self.owners[run.first as usize..][..run.count as usize];
        let take =
            |cell: &&AtomicU8| cell.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let count = cells.iter().take_while(take).count() as u32;
        (count > 0).then_some(SlotRun { first: run.first, count })
    }

    fn count_taken(&self, run: SlotRun) {
        let count = u64::from(run.count);
        let used = self.used.fetch_add(count, Ordering::Relaxed).wrapping_add(count);
        self.peak.fetch_max(used, Ordering::Relaxed);
        self.hint.store(u64::from(run.first) + count, Ordering::Relaxed);
    }
}

/// The checksum of a page: the low half of its XXH3-64.
pub fn checksum(page: &[u8; PAGE_SIZE as usize]) -> u32 {
    xxhash_rust::xxh3::xxh3_64(page) as u32
}

/// The part of a checksum that stays with the process ([`crate::entry::SwapSlot::tag`]).
pub const fn tag_of(checksum: u32) -> u16 {
    (checksum >> 16) as u16
}

/// Whether a page that was read is the one that was written, of which the device kept `kept` and the process
/// `tag`.
pub fn is_intact(page: &[u8; PAGE_SIZE as usize], kept: u32, tag: u16) -> bool {
    let sum = checksum(page);
    sum == kept && tag_of(sum) == tag
}
