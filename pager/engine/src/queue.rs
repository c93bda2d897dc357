//! The order of replacement: a policy of `pager_core` over the pages of one space.

use alloc::vec::Vec;

use pager_core::addr::{PageNum, PageRange, USER_END, VirtAddr};
use pager_core::entry::{Dirt, Entry};
use pager_core::replacement::{Install, Policy, PolicyKind, Replacement};
use pager_core::table::{EntryCell, PageTable};

use crate::batch::BATCH;

/// The space's resident pages in the order in which they may have to go. Nothing is tracked while there is
/// no cap.
///
/// `table` is the page table of those pages, in every method.
pub struct Queue {
    policy: Option<Replacement>,
    cap_pages: u64,
    /// What [`Queue::victims`] gives, in memory that is taken once.
    candidates: Vec<PageNum>,
    /// Where the next [`Queue::sweep_clean`] begins.
    hand: PageNum,
}

impl Queue {
    /// A queue for no cap.
    pub const fn empty() -> Queue {
        Queue { policy: None, cap_pages: u64::MAX, candidates: Vec::new(), hand: PageNum(0) }
    }

    /// Fits the queue to a cap, which may have been changed from outside: starts anew from what is resident.
    pub fn fit(&mut self, cap_pages: u64, kind: PolicyKind, table: &PageTable) {
        if cap_pages == self.cap_pages {
            return;
        }
        self.cap_pages = cap_pages;
        self.policy = (cap_pages != u64::MAX).then(|| Replacement::new(kind, cap_pages));
        if let Some(policy) = &mut self.policy {
            let resident = table.existing_in(everything()).filter(|(page, _)| is_resident(table, *page));
            resident.for_each(|(page, _)| policy.installed(page, Install::Around));
        }
    }

    /// Notes a page that was just brought in.
    pub fn installed(&mut self, page: PageNum, how: Install, table: &PageTable) {
        if let Some(policy) = &mut self.policy {
            policy.installed(page, how);
            // Pages that were unmapped stay in the queues until somebody looks.
            if policy.overgrown() {
                policy.sweep(|page| is_resident(table, page));
            }
        }
    }

    /// Takes the next candidates, at most [`BATCH`]; what is not resident any more is skipped. The memory is to
    /// be handed back by [`Queue::return_list`].
    pub fn victims(&mut self, wanted: usize, table: &PageTable) -> Vec<PageNum> {
        let mut candidates = core::mem::take(&mut self.candidates);
        candidates.clear();
        candidates.reserve(BATCH);
        if let Some(policy) = &mut self.policy {
            policy.victims(wanted.min(BATCH), |page| is_resident(table, page), &mut candidates);
        }
        candidates
    }

    /// Hands the memory of [`Queue::victims`] back.
    pub fn return_list(&mut self, candidates: Vec<PageNum>) {
        self.candidates = candidates;
    }

    /// Shows resident pages that something else holds too, in the order of their numbers and on from where the last
    /// sweep ended, until `wants_more` says no; each once. They stay tracked; who evicts one need not say so.
    ///
    /// The policy is not asked: its order is one of all pages, and what may not leave would have to be passed over
    /// again and again.
    pub fn sweep_clean(&mut self, table: &PageTable, mut wants_more: impl FnMut(PageNum) -> bool) {
        let (all, hand) = (everything(), self.hand);
        let parts = [PageRange::new(hand, all.end()), PageRange::new(all.start(), hand)];
        for (page, cell) in parts.into_iter().flatten().flat_map(|part| table.existing_in(part)) {
            if matches!(cell.load(), Entry::Resident(Dirt::Clean, _) | Entry::Mapped(_)) && !wants_more(page)
            {
                self.hand = page.plus(1);
                return;
            }
        }
    }

    /// Hands back a candidate that could not go.
    pub fn put_back(&mut self, page: PageNum) {
        if let Some(policy) = &mut self.policy {
            policy.put_back(page);
        }
    }
}

/// All pages that a program can have.
pub fn everything() -> PageRange {
    PageRange::touching(VirtAddr(0), USER_END).unwrap_or(PageRange::single(PageNum(0)))
}

/// Whether a page is in memory, or may be once whoever has its entry is done.
fn is_resident(table: &PageTable, page: PageNum) -> bool {
    let entry = table.existing(page).map_or(Entry::Empty, EntryCell::load);
    entry.is_resident() || matches!(entry, Entry::Busy(_))
}
