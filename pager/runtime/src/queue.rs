//! The order of replacement: a policy of `pager_core` over the pages of this process.

use alloc::vec::Vec;

use pager_core::addr::PageNum;
use pager_core::entry::Entry;
use pager_core::replacement::{Install, Policy, TwoQueue};
use pager_core::table::EntryCell;

use crate::state::STATE;

/// The process's resident pages in the order in which they may have to go. Empty until the cap is known.
pub struct Queue {
    policy: Option<TwoQueue>,
}

impl Queue {
    pub const fn empty() -> Queue {
        Queue { policy: None }
    }

    /// Starts anew for a cap.
    pub fn reset(&mut self, cap_pages: u64) {
        self.policy = (cap_pages != u64::MAX).then(|| TwoQueue::new(cap_pages));
    }

    /// Notes a page that was just brought in.
    pub fn installed(&mut self, page: PageNum, how: Install) {
        if let Some(policy) = &mut self.policy {
            policy.installed(page, how);
            // Pages that were unmapped stay in the queues until somebody looks.
            if policy.overgrown() {
                policy.sweep(is_resident);
            }
        }
    }

    /// The next candidates; what is not resident any more is skipped.
    pub fn victims(&mut self, wanted: usize, out: &mut Vec<PageNum>) {
        if let Some(policy) = &mut self.policy {
            policy.victims(wanted, is_resident, out);
        }
    }

    /// Hands back a candidate that could not go.
    pub fn put_back(&mut self, page: PageNum) {
        if let Some(policy) = &mut self.policy {
            policy.put_back(page);
        }
    }
}

/// Whether a page is in memory, or may be once whoever has its entry is done.
fn is_resident(page: PageNum) -> bool {
    let entry = STATE.table.existing(page).map_or(Entry::Empty, EntryCell::load);
    entry.is_resident() || matches!(entry, Entry::Busy(_))
}
