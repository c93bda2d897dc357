//! S3-FIFO, after Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP
//! 2023, algorithm 1.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::Page;
use super::list::List;
use super::policy::Policy;
use crate::replacement::Install;

/// What part of the capacity the small queue has.
const SMALL_PART: usize = 10;
/// Highest count of uses.
const MOST_USES: u8 = 3;

/// A small queue on trial, a main queue with second chances, and a queue of ghosts.
pub struct S3Fifo {
    small: List,
    main: List,
    ghosts: List,
    /// Uses since the page came, of pages in memory that were used.
    uses: HashMap<Page, u8>,
    capacity: usize,
}

impl S3Fifo {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> S3Fifo {
        S3Fifo {
            small: List::default(),
            main: List::default(),
            ghosts: List::default(),
            uses: HashMap::new(),
            capacity,
        }
    }

    fn evict(&mut self, out: &mut Vec<Page>) {
        let small_room = (self.capacity / SMALL_PART).max(1);
        if self.small.len() >= small_room || self.main.len() == 0 {
            self.evict_small(out);
        } else {
            self.evict_main(out);
        }
    }

    /// Pages that were used more than once go to the main queue; the first that was not leaves.
    fn evict_small(&mut self, out: &mut Vec<Page>) {
        while let Some(page) = self.small.pop() {
            if self.uses.get(&page).is_some_and(|&uses| uses > 1) {
                self.uses.remove(&page);
                self.main.push(page);
                continue;
            }
            self.uses.remove(&page);
            self.ghosts.push(page);
            if self.ghosts.len() > self.capacity {
                self.ghosts.pop();
            }
            return out.push(page);
        }
        self.evict_main(out);
    }

    fn evict_main(&mut self, out: &mut Vec<Page>) {
        while let Some(page) = self.main.pop() {
            match self.uses.get_mut(&page) {
                Some(uses) if *uses > 0 => {
                    *uses -= 1;
                    self.main.push(page);
                }
                _ => {
                    self.uses.remove(&page);
                    return out.push(page);
                }
            }
        }
    }
}

impl Policy for S3Fifo {
    fn touch(&mut self, page: Page) -> bool {
        let there = self.small.contains(page) || self.main.contains(page);
        if there {
            let uses = self.uses.entry(page).or_insert(0);
            *uses = (*uses + 1).min(MOST_USES);
        }
        there
    }

    fn make_room(&mut self, pages: usize, _missed: Page, out: &mut Vec<Page>) {
        while self.small.len() + self.main.len() + pages > self.capacity
            && self.small.len() + self.main.len() > 0
        {
            self.evict(out);
        }
    }

    fn insert(&mut self, page: Page, how: Install) {
        match self.ghosts.remove(page) && how != Install::Around {
            true => self.main.push(page),
            false => self.small.push(page),
        }
    }

    fn forget(&mut self, page: Page) {
        for list in [&mut self.small, &mut self.main, &mut self.ghosts] {
            list.remove(page);
        }
        self.uses.remove(&page);
    }
}
