//! The live pager's policy in the simulator: the same code, asked in the same batches, and shown misses only.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::Page;
use super::policy::Policy;
use crate::addr::{PageNum, PageRange};
use crate::replacement::{Install, Policy as _, TwoQueue, batch_of};

/// 2Q under a cap.
pub struct Live {
    policy: TwoQueue,
    resident: HashSet<Page>,
    cap_pages: u64,
}

impl Live {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> Live {
        Live { policy: TwoQueue::new(capacity as u64), resident: HashSet::new(), cap_pages: capacity as u64 }
    }
}

impl Policy for Live {
    fn touch(&mut self, page: Page) -> bool {
        self.resident.contains(&page)
    }

    fn make_room(&mut self, pages: usize, _missed: Page, out: &mut Vec<Page>) {
        loop {
            let now = (self.resident.len() + pages) as u64;
            if now <= self.cap_pages || self.resident.is_empty() {
                return;
            }
            let mut victims = Vec::new();
            let resident = &self.resident;
            self.policy.victims(
                batch_of(now, self.cap_pages) as usize,
                |page| resident.contains(&Page(page.0)),
                &mut victims,
            );
            if victims.is_empty() {
                return;
            }
            for PageNum(page) in victims {
                self.resident.remove(&Page(page));
                out.push(Page(page));
            }
        }
    }

    fn insert(&mut self, page: Page, how: Install) {
        self.resident.insert(page);
        self.policy.installed(PageNum(page.0), how);
        if self.policy.overgrown() {
            let resident = &self.resident;
            self.policy.sweep(|page| resident.contains(&Page(page.0)));
        }
    }

    /// As in the live pager, the queue itself learns of it when it next meets the page.
    fn forget(&mut self, page: Page) {
        if self.resident.remove(&page) {
            self.policy.forget(PageRange::single(PageNum(page.0)));
        }
    }
}
