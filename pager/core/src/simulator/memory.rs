//! A memory of so many pages under a policy, and what it costs to go through a reference string with it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::policies::PolicyName;
use super::policy::Policy;
use super::steps::same_process;
use super::{Page, Step};
use crate::area::Access;
use crate::replacement::Install;
use crate::trace::FaultKind;

/// What a reference string cost.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Misses {
    /// Faults by [`FaultKind`] as a number.
    pub by_kind: [u64; 5],
    /// Pages that left to make room.
    pub evicted: u64,
    /// Of those, pages that had been written to since they came.
    pub evicted_dirty: u64,
    /// Most pages that were in memory at once.
    pub peak: usize,
}

impl Misses {
    /// Faults on pages that were not in memory.
    pub fn total(&self) -> u64 {
        FaultKind::ALL.iter().filter(|kind| kind.is_miss()).map(|&kind| self.by_kind[kind as usize]).sum()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dirt {
    Clean,
    Dirty,
}

/// A memory under a policy.
pub struct Memory {
    policy: Box<dyn Policy>,
    resident: HashMap<Page, Dirt>,
    misses: Misses,
    out: Vec<Page>,
}

impl Memory {
    /// An empty one of `capacity` pages.
    pub fn new(policy: PolicyName, capacity: usize) -> Memory {
        Memory {
            policy: policy.build(capacity),
            resident: HashMap::new(),
            misses: Misses::default(),
            out: Vec::new(),
        }
    }

    /// What all of `steps` cost in an empty memory.
    pub fn run(policy: PolicyName, capacity: usize, steps: &[Step]) -> Misses {
        let mut memory = Memory::new(policy, capacity);
        steps.iter().for_each(|step| memory.step(step));
        memory.misses
    }

    /// What the steps cost so far.
    pub fn misses(&self) -> Misses {
        self.misses
    }

    /// The pages that the last step had leave, in their order.
    pub fn evicted(&self) -> &[Page] {
        &self.out
    }

    /// Goes one step.
    pub fn step(&mut self, step: &Step) {
        self.out.clear();
        match *step {
            Step::Reference { page, first, count, kind, access } => {
                if self.policy.touch(page) {
                    self.hit(page, access);
                } else {
                    self.miss(page, first, count, kind, access);
                }
            }
            Step::Forget { first, count } => self.forget(first, count),
            Step::Move { first, count, to } => self.relocate(first, count, to),
            Step::ForgetAll { of } => {
                let gone: Vec<Page> =
                    self.resident.keys().copied().filter(|page| same_process(*page, of)).collect();
                gone.into_iter().for_each(|page| self.drop_page(page));
            }
        }
    }

    fn hit(&mut self, page: Page, access: Access) {
        let dirt = self.resident.entry(page).or_insert(Dirt::Clean);
        if access == Access::Write && *dirt == Dirt::Clean {
            *dirt = Dirt::Dirty;
            self.misses.by_kind[FaultKind::Protection as usize] += 1;
        }
    }

    fn miss(&mut self, page: Page, first: Page, count: u32, kind: FaultKind, access: Access) {
        // A first write to a clean page is recorded without saying what brings the page in; where it is gone,
        // it comes from swap.
        let kind = if kind == FaultKind::Protection { FaultKind::SwapIn } else { kind };
        self.misses.by_kind[kind as usize] += 1;
        let run: Vec<Page> = (0..u64::from(count))
            .map(|i| first.plus(i))
            .filter(|page| !self.resident.contains_key(page))
            .collect();
        self.policy.make_room(run.len(), page, &mut self.out);
        for gone in &self.out {
            self.misses.evicted += 1;
            self.misses.evicted_dirty += u64::from(self.resident.remove(gone) == Some(Dirt::Dirty));
        }
        let dirt = match kind {
            FaultKind::Zero => Dirt::Dirty,
            FaultKind::MapThrough => Dirt::Clean,
            _ if access == Access::Write => Dirt::Dirty,
            _ => Dirt::Clean,
        };
        let missed = if kind == FaultKind::SwapIn { Install::Refault } else { Install::First };
        for other in run {
            self.policy.insert(other, if other == page { missed } else { Install::Around });
            self.resident.insert(other, dirt);
        }
        self.misses.peak = self.misses.peak.max(self.resident.len());
    }

    fn drop_page(&mut self, page: Page) {
        self.policy.forget(page);
        self.resident.remove(&page);
    }

    fn in_range(&self, first: Page, count: u64) -> Vec<Page> {
        if count > self.resident.len() as u64 {
            return self
                .resident
                .keys()
                .copied()
                .filter(|page| page.0.wrapping_sub(first.0) < count)
                .collect();
        }
        (0..count).map(|i| first.plus(i)).filter(|page| self.resident.contains_key(page)).collect()
    }

    fn forget(&mut self, first: Page, count: u64) {
        self.in_range(first, count).into_iter().for_each(|page| self.drop_page(page));
    }

    fn relocate(&mut self, first: Page, count: u64, to: Page) {
        for page in self.in_range(first, count) {
            self.drop_page(page);
            let there = to.plus(page.0 - first.0);
            if self.resident.insert(there, Dirt::Dirty).is_none() {
                self.policy.insert(there, Install::Refault);
            }
        }
    }
}
