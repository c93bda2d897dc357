//! 2Q, after Johnson and Shasha, "2Q: A Low Overhead High Performance Buffer Management Replacement Algorithm", VLDB 1994 ("full version").
//!
//! | there | here | |
//! |---|---|---|
//! | A1in | probation | first in, first out; a quarter of all once the protected queue has filled |
//! | A1out | ghosts | pages that left memory of late |
//! | Am | protected | pages that were missed while they were a ghost |
//!
//! Two differences, both because hits are not seen. Am is least-recently-used there and first-in-first-out here. So a page that leaves Am
//! becomes a ghost as well: one that is in use is missed soon, and returns to Am instead of starting over.

use alloc::vec::Vec;

use crate::addr::{PageNum, PageRange};
use crate::replacement::ghosts::Ghosts;
use crate::replacement::ledger::{Ledger, Place};
use crate::replacement::{Install, Policy, exceeds_twice};

const PROBATION: usize = 0;
const PROTECTED: usize = 1;
/// What part of all pages is on probation: the paper's 25 %.
const PROBATION_PART: usize = 4;
/// What part of the cap is how many ghosts are remembered: the paper's 50 %.
const GHOST_PART: u64 = 2;
/// Pages that are written to swap together when they are old enough: 64 KiB, aligned.
const CLUSTER_PAGES: u64 = 16;
/// What part of its queue counts as old enough.
const OLD_PART: usize = 4;

/// New pages are on probation; those that are missed again soon after they went are protected from them.
#[derive(Debug)]
pub struct TwoQueue {
    ledger: Ledger<2>,
    ghosts: Ghosts,
    cap_pages: u64,
}

impl TwoQueue {
    /// Queues for at most `cap_pages` resident pages; `u64::MAX` stands for no cap: then nothing is tracked, and there are no victims.
    pub fn new(cap_pages: u64) -> TwoQueue {
        TwoQueue { ledger: Ledger::new(), ghosts: Ghosts::new(cap_pages / GHOST_PART), cap_pages }
    }

    /// The queue that the next victim comes from.
    fn victim_lane(&self) -> usize {
        let probation = self.ledger.lane_len(PROBATION);
        if probation > self.ledger.len() / PROBATION_PART { PROBATION } else { PROTECTED }
    }

    /// Takes the pages of `oldest`'s cluster that are old themselves, ascending, `oldest` (just popped) in its place; at most `room`.
    fn take_cluster(
        &mut self,
        lane: usize,
        oldest: PageNum,
        room: usize,
        resident: &impl Fn(PageNum) -> bool,
        out: &mut Vec<PageNum>,
    ) {
        let first = oldest.0 - oldest.0 % CLUSTER_PAGES;
        let mut others = room - 1;
        for page in (first..first + CLUSTER_PAGES).map(PageNum) {
            let taken = if page == oldest {
                true
            } else if others > 0 && self.is_old(lane, page) {
                self.ledger.take(page);
                resident(page)
            } else {
                false
            };
            if taken {
                others -= usize::from(page != oldest);
                self.ghosts.insert(page);
                out.push(page);
            }
        }
    }

    fn is_old(&self, lane: usize, page: PageNum) -> bool {
        let limit = self.ledger.lane_len(lane) / OLD_PART;
        self.ledger.find(page).is_some_and(|Place { lane: there, depth }| there == lane && depth < limit)
    }
}

impl Policy for TwoQueue {
    fn installed(&mut self, page: PageNum, how: Install) {
        if self.cap_pages == u64::MAX {
            return;
        }
        let missed = how != Install::Around;
        let lane = if missed && self.ghosts.take(page) { PROTECTED } else { PROBATION };
        self.ledger.push(lane, page);
    }

    fn victims(&mut self, wanted: usize, resident: impl Fn(PageNum) -> bool, out: &mut Vec<PageNum>) {
        let enough = out.len().saturating_add(wanted);
        while out.len() < enough {
            let lane = self.victim_lane();
            let Some(oldest) = self.ledger.pop(lane) else { return };
            if resident(oldest) {
                self.take_cluster(lane, oldest, enough - out.len(), &resident, out);
            }
        }
    }

    fn put_back(&mut self, page: PageNum) {
        self.ghosts.take(page);
        if self.cap_pages != u64::MAX {
            self.ledger.push(PROTECTED, page);
        }
    }

    fn forget(&mut self, range: PageRange) {
        self.ledger.take_range(range);
        if range.count() <= self.ghosts.capacity() as u64 {
            range.iter().for_each(|page| {
                self.ghosts.take(page);
            });
        }
    }

    fn overgrown(&self) -> bool {
        exceeds_twice(self.cap_pages, self.ledger.len())
    }

    fn sweep(&mut self, resident: impl Fn(PageNum) -> bool) {
        self.ledger.retain(resident);
    }

    fn len(&self) -> usize {
        self.ledger.len()
    }

    fn memory_bytes(&self) -> usize {
        self.ledger.memory_bytes() + self.ghosts.memory_bytes()
    }
}
