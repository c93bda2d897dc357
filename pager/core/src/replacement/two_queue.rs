//! 2Q, after Johnson and Shasha, "2Q: A Low Overhead High Performance Buffer Management Replacement
//! Algorithm", VLDB 1994 ("full version"), with a main queue that learns from misses alone.
//!
//! | there | here | |
//! |---|---|---|
//! | A1in | probation | first in, first out; a tenth of all once the protected queue has filled |
//! | A1out | ghosts | pages that left memory of late |
//! | Am | protected | pages that were missed while they were a ghost |
//!
//! Am is least-recently-used there. Here hits are not seen, so a page that leaves Am becomes a ghost as well:
//! one that is in use is missed soon, and returns to Am instead of starting over. But first in, first out
//! alone would have it miss once in every round of the queue. So each miss as a ghost in a row raises a
//! page's *rank*, and with the rank doubles the number of rounds that it stays without asking: CLOCK's hand,
//! with a count that misses set instead of hits. A page that went and is not missed in time loses its rank.
//!
//! Pages that stay without asking could stay for ever where nothing turns the queue: when the program has
//! moved on to pages that are on probation. So one victim in [`TURN_EVERY`] is taken from the protected queue
//! at least.

use alloc::vec::Vec;

use crate::addr::{PageNum, PageRange};
use crate::replacement::ghosts::Ghosts;
use crate::replacement::ledger::{Ledger, Note, Place};
use crate::replacement::{Install, Policy, exceeds_twice};

const PROBATION: usize = 0;
const PROTECTED: usize = 1;
/// What part of all pages is on probation; the paper has 25 %.
const PROBATION_PART: usize = 10;
/// But so many, if that is no more than the paper's part: what comes along with a missed page should not have
/// to go before it is used.
const PROBATION_LEAST: usize = 16;
const PROBATION_MOST_PART: usize = 4;
/// What part of the cap is how many ghosts are remembered: the paper's 50 %.
const GHOST_PART: u64 = 2;
/// The highest rank: 15 rounds.
const MOST_RANK: u8 = 4;
/// Pages that the search for one victim lets go round, at most.
const MOST_TURNS: usize = 32;
/// After this many victims in a row from probation, one is taken from the protected queue.
const TURN_EVERY: u32 = 32;
/// Pages that are written to swap together when they are old enough: 64 KiB, aligned.
const CLUSTER_PAGES: u64 = 16;
/// What part of its queue counts as old enough.
const OLD_PART: usize = 4;

/// How much a page is in use, as far as misses tell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Standing {
    /// Misses in a row while it was a ghost, counted up to [`MOST_RANK`].
    rank: u8,
    /// Rounds of the queue that it stays.
    rounds: u8,
}

impl Standing {
    fn of_rank(rank: u8) -> Standing {
        Standing { rank, rounds: (1 << rank) - 1 }
    }

    fn missed_again(rank: u8) -> Standing {
        Standing::of_rank((rank + 1).min(MOST_RANK))
    }

    fn note(self) -> Note {
        self.rank << 4 | self.rounds
    }

    fn noted(note: Note) -> Standing {
        Standing { rank: note >> 4, rounds: note & 0xf }
    }
}

/// New pages are on probation; those that are missed again soon after they went are protected from them.
#[derive(Debug)]
pub struct TwoQueue {
    ledger: Ledger<2>,
    ghosts: Ghosts,
    cap_pages: u64,
    /// Victims from probation since the last one from the protected queue.
    unturned: u32,
}

impl TwoQueue {
    /// Queues for at most `cap_pages` resident pages; `u64::MAX` stands for no cap: then nothing is tracked,
    /// and there are no victims.
    pub fn new(cap_pages: u64) -> TwoQueue {
        TwoQueue {
            ledger: Ledger::new(),
            ghosts: Ghosts::new(cap_pages / GHOST_PART),
            cap_pages,
            unturned: 0,
        }
    }

    /// The queue that the next victim comes from.
    fn victim_lane(&self) -> usize {
        let (probation, all) = (self.ledger.lane_len(PROBATION), self.ledger.len());
        let part = (all / PROBATION_PART).max(PROBATION_LEAST).min(all / PROBATION_MOST_PART);
        let turn = self.unturned >= TURN_EVERY && probation < all;
        if probation > part && !turn { PROBATION } else { PROTECTED }
    }

    /// Takes the next victim off its queue, with its rank.
    fn next(&mut self, resident: &impl Fn(PageNum) -> bool) -> Option<(usize, PageNum, u8)> {
        let lane = self.victim_lane();
        if lane == PROTECTED {
            self.unturned = 0;
            self.turn(resident);
        }
        self.ledger.pop(lane).map(|(page, note)| (lane, page, Standing::noted(note).rank))
    }

    /// Lets pages go round that stay, until one that does not comes first, or it takes too long.
    fn turn(&mut self, resident: &impl Fn(PageNum) -> bool) {
        for _ in 0..MOST_TURNS {
            let Some((page, note)) = self.ledger.first(PROTECTED) else { return };
            let standing = Standing::noted(note);
            if standing.rounds == 0 || !resident(page) {
                return;
            }
            self.ledger.turn(PROTECTED, Standing { rounds: standing.rounds - 1, ..standing }.note());
        }
    }

    /// Takes the pages of `oldest`'s cluster that are old themselves, ascending, `oldest` (just popped) in
    /// its place; at most `room`.
    fn take_cluster(
        &mut self,
        (lane, oldest, rank): (usize, PageNum, u8),
        room: usize,
        resident: &impl Fn(PageNum) -> bool,
        out: &mut Vec<PageNum>,
    ) {
        let first = oldest.0 - oldest.0 % CLUSTER_PAGES;
        let mut others = room - 1;
        for page in (first..first + CLUSTER_PAGES).map(PageNum) {
            let taken = if page == oldest {
                Some(rank)
            } else if others > 0 {
                self.take_old(lane, page).filter(|_| resident(page))
            } else {
                None
            };
            if let Some(rank) = taken {
                others -= usize::from(page != oldest);
                self.unturned += u32::from(lane == PROBATION);
                self.ghosts.insert(page, rank);
                out.push(page);
            }
        }
    }

    /// Takes `page` if it is among the oldest of a queue and would not go round; its rank.
    fn take_old(&mut self, lane: usize, page: PageNum) -> Option<u8> {
        let limit = self.ledger.lane_len(lane) / OLD_PART;
        let Place { lane: there, depth, note } = self.ledger.find(page)?;
        let standing = Standing::noted(note);
        let old = there == lane && depth < limit && standing.rounds == 0;
        (old && self.ledger.take(page)).then_some(standing.rank)
    }
}

impl Policy for TwoQueue {
    fn installed(&mut self, page: PageNum, how: Install) {
        if self.cap_pages == u64::MAX {
            return;
        }
        let ghost = if how == Install::Around { None } else { self.ghosts.take(page) };
        match ghost {
            Some(rank) => self.ledger.push(PROTECTED, page, Standing::missed_again(rank).note()),
            None => self.ledger.push(PROBATION, page, Standing::default().note()),
        }
    }

    fn victims(&mut self, wanted: usize, resident: impl Fn(PageNum) -> bool, out: &mut Vec<PageNum>) {
        let enough = out.len().saturating_add(wanted);
        while out.len() < enough {
            let Some(next) = self.next(&resident) else { return };
            if resident(next.1) {
                self.take_cluster(next, enough - out.len(), &resident, out);
            }
        }
    }

    fn put_back(&mut self, page: PageNum) {
        let rank = self.ghosts.take(page).unwrap_or(0);
        if self.cap_pages != u64::MAX {
            self.ledger.push(PROTECTED, page, Standing::of_rank(rank).note());
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
