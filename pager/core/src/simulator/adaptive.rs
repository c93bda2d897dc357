//! ARC, after Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003, figure 4.

use alloc::vec::Vec;

use super::Page;
use super::list::List;
use super::policy::Policy;
use crate::replacement::Install;

/// Two LRU lists, of pages used once (`recent`) and more often (`frequent`), with ghosts that tell which of
/// them should be longer.
pub struct Arc {
    recent: List,
    frequent: List,
    recent_ghosts: List,
    frequent_ghosts: List,
    /// How long `recent` should be.
    target: usize,
    capacity: usize,
}

impl Arc {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> Arc {
        Arc {
            recent: List::default(),
            frequent: List::default(),
            recent_ghosts: List::default(),
            frequent_ghosts: List::default(),
            target: 0,
            capacity,
        }
    }

    fn adapt(&mut self, missed: Page) {
        let (recent, frequent) = (self.recent_ghosts.len(), self.frequent_ghosts.len());
        if self.recent_ghosts.contains(missed) {
            self.target = (self.target + (frequent / recent.max(1)).max(1)).min(self.capacity);
        } else if self.frequent_ghosts.contains(missed) {
            self.target = self.target.saturating_sub((recent / frequent.max(1)).max(1));
        }
    }

    /// REPLACE of the paper.
    fn replace(&mut self, missed: Page, out: &mut Vec<Page>) {
        let recent = self.recent.len();
        let too_long =
            recent > self.target || (recent == self.target && self.frequent_ghosts.contains(missed));
        let (from, ghosts) = match recent > 0 && (too_long || self.frequent.len() == 0) {
            true => (&mut self.recent, &mut self.recent_ghosts),
            false => (&mut self.frequent, &mut self.frequent_ghosts),
        };
        if let Some(page) = from.pop() {
            ghosts.push(page);
            out.push(page);
        }
    }

    /// Keeps the directory within twice the capacity, and `recent` with its ghosts within the capacity.
    fn trim(&mut self) {
        while self.recent.len() + self.recent_ghosts.len() > self.capacity
            && self.recent_ghosts.pop().is_some()
        {}
        let all = |arc: &Arc| {
            arc.recent.len() + arc.frequent.len() + arc.recent_ghosts.len() + arc.frequent_ghosts.len()
        };
        while all(self) > 2 * self.capacity && self.frequent_ghosts.pop().is_some() {}
    }
}

impl Policy for Arc {
    fn touch(&mut self, page: Page) -> bool {
        if self.recent.remove(page) {
            self.frequent.push(page);
            return true;
        }
        self.frequent.renew(page)
    }

    fn make_room(&mut self, pages: usize, missed: Page, out: &mut Vec<Page>) {
        self.adapt(missed);
        while self.recent.len() + self.frequent.len() + pages > self.capacity
            && self.recent.len() + self.frequent.len() > 0
        {
            self.replace(missed, out);
        }
        self.trim();
    }

    fn insert(&mut self, page: Page, how: Install) {
        let ghost = self.recent_ghosts.remove(page) | self.frequent_ghosts.remove(page);
        match ghost && how != Install::Around {
            true => self.frequent.push(page),
            false => self.recent.push(page),
        }
    }

    fn forget(&mut self, page: Page) {
        for list in [&mut self.recent, &mut self.frequent, &mut self.recent_ghosts, &mut self.frequent_ghosts]
        {
            list.remove(page);
        }
    }
}
