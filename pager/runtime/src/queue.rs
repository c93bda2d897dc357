//! The order of replacement: a policy of `pager_core` over the pages of this process.

use alloc::vec::Vec;

use pager_core::addr::PageNum;
use pager_core::replacement::{Install, Policy, TwoQueue};

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
        }
    }

    /// The next candidates; what is not resident any more is skipped.
    pub fn victims(&mut self, wanted: usize, resident: &dyn Fn(PageNum) -> bool, out: &mut Vec<PageNum>) {
        if let Some(policy) = &mut self.policy {
            policy.victims(wanted, resident, out);
        }
    }

    /// Hands back a candidate that could not go.
    pub fn put_back(&mut self, page: PageNum) {
        if let Some(policy) = &mut self.policy {
            policy.put_back(page);
        }
    }
}
