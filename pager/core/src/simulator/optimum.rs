//! The lower bound: Belady's MIN, "A study of replacement algorithms for a virtual-storage computer", IBM
//! Systems Journal 1966.
//!
//! What is referenced furthest in the future goes. Pages that come along with a missed one are not charged as
//! misses; that a policy which knew the future would choose other neighbours is not considered, so with
//! readahead this bounds the choice of victims only.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::memory::Misses;
use super::steps::same_process;
use super::{Page, Step};

const NEVER: usize = usize::MAX;

/// What `steps` cost with `capacity` pages if the future is known.
pub fn run(capacity: usize, steps: &[Step]) -> Misses {
    let next = next_uses(steps);
    let mut memory = Optimum {
        capacity: capacity.max(1),
        by_use: BTreeSet::new(),
        resident: HashMap::new(),
        misses: Misses::default(),
    };
    for (at, step) in steps.iter().enumerate() {
        memory.step(step, &next, at);
    }
    memory.misses
}

/// For each step that is a reference, when its page is referenced next before it is forgotten.
fn next_uses(steps: &[Step]) -> Vec<usize> {
    let mut next = alloc::vec![NEVER; steps.len()];
    let mut seen: HashMap<Page, usize> = HashMap::new();
    for (at, step) in steps.iter().enumerate().rev() {
        match *step {
            Step::Reference { page, .. } => {
                next[at] = seen.insert(page, at).unwrap_or(NEVER);
            }
            Step::Forget { first, count } => seen.retain(|page, _| page.0.wrapping_sub(first.0) >= count),
            Step::ForgetAll { of } => seen.retain(|page, _| !same_process(*page, of)),
            Step::Move { first, count, to } => {
                let moved: Vec<(Page, usize)> = seen
                    .iter()
                    .filter(|(page, _)| page.0.wrapping_sub(to.0) < count)
                    .map(|(page, &at)| (*page, at))
                    .collect();
                for (page, at) in moved {
                    seen.remove(&page);
                    seen.insert(first.plus(page.0 - to.0), at);
                }
            }
        }
    }
    next
}

struct Optimum {
    capacity: usize,
    by_use: BTreeSet<(usize, Page)>,
    resident: HashMap<Page, usize>,
    misses: Misses,
}

impl Optimum {
    fn step(&mut self, step: &Step, next: &[usize], at: usize) {
        match *step {
            Step::Reference { page, first, count, kind, .. } => {
                if !self.resident.contains_key(&page) {
                    self.misses.by_kind[if kind.is_miss() { kind as usize } else { 2 }] += 1;
                    self.bring_in(page, first, count);
                }
                self.set(page, next[at]);
                self.misses.peak = self.misses.peak.max(self.resident.len());
            }
            Step::Forget { first, count } => self.forget_where(|page| page.0.wrapping_sub(first.0) < count),
            Step::ForgetAll { of } => self.forget_where(|page| same_process(page, of)),
            Step::Move { first, count, to } => {
                let of_range = |page: &Page| page.0.wrapping_sub(first.0) < count;
                let moved: Vec<(Page, usize)> = self
                    .resident
                    .iter()
                    .filter(|(page, _)| of_range(page))
                    .map(|(page, &at)| (*page, at))
                    .collect();
                for (page, at) in moved {
                    self.remove(page);
                    self.set(to.plus(page.0 - first.0), at);
                }
            }
        }
    }

    /// The missed page takes a place; its neighbours those that are free or hold what is never used again.
    fn bring_in(&mut self, page: Page, first: Page, count: u32) {
        while self.resident.len() >= self.capacity {
            let Some((_, victim)) = self.by_use.last().copied() else { break };
            self.remove(victim);
            self.misses.evicted += 1;
        }
        self.set(page, NEVER);
        for other in (0..u64::from(count)).map(|i| first.plus(i)) {
            if self.resident.len() >= self.capacity {
                return;
            }
            if !self.resident.contains_key(&other) {
                // When it is used next is not looked up: as soon as it is, it is a hit, and known from then
                // on.
                self.set(other, NEVER - 1);
            }
        }
    }

    fn set(&mut self, page: Page, at: usize) {
        if let Some(before) = self.resident.insert(page, at) {
            self.by_use.remove(&(before, page));
        }
        self.by_use.insert((at, page));
    }

    fn remove(&mut self, page: Page) {
        if let Some(at) = self.resident.remove(&page) {
            self.by_use.remove(&(at, page));
        }
    }

    fn forget_where(&mut self, gone: impl Fn(Page) -> bool) {
        let pages: Vec<Page> = self.resident.keys().copied().filter(|page| gone(*page)).collect();
        pages.into_iter().for_each(|page| self.remove(page));
    }
}
