//! Policies that keep one list: FIFO, CLOCK, LRU, MRU and RANDOM.

use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::Page;
use super::list::List;
use super::policy::Policy;
use crate::replacement::Install;

/// First in, first out.
pub struct Fifo {
    list: List,
    capacity: usize,
}

/// The least recently used page goes.
pub struct Lru(Fifo);

/// The most recently used page goes.
pub struct Mru(Fifo);

/// First in, first out, but a page that was used since it came, or since it was last let off, goes round once
/// more.
pub struct Clock {
    queue: Fifo,
    used: HashSet<Page>,
}

/// Any page goes.
pub struct Random {
    pages: Vec<Page>,
    index: HashMap<Page, usize>,
    capacity: usize,
    state: u64,
}

impl Fifo {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> Fifo {
        Fifo { list: List::default(), capacity }
    }

    fn excess(&self, pages: usize) -> usize {
        (self.list.len() + pages).saturating_sub(self.capacity).min(self.list.len())
    }
}

impl Policy for Fifo {
    fn touch(&mut self, page: Page) -> bool {
        self.list.contains(page)
    }

    fn make_room(&mut self, pages: usize, _missed: Page, out: &mut Vec<Page>) {
        for _ in 0..self.excess(pages) {
            out.extend(self.list.pop());
        }
    }

    fn insert(&mut self, page: Page, _how: Install) {
        self.list.push(page);
    }

    fn forget(&mut self, page: Page) {
        self.list.remove(page);
    }
}

impl Lru {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> Lru {
        Lru(Fifo::new(capacity))
    }
}

impl Policy for Lru {
    fn touch(&mut self, page: Page) -> bool {
        self.0.list.renew(page)
    }

    fn make_room(&mut self, pages: usize, missed: Page, out: &mut Vec<Page>) {
        self.0.make_room(pages, missed, out);
    }

    fn insert(&mut self, page: Page, how: Install) {
        self.0.insert(page, how);
    }

    fn forget(&mut self, page: Page) {
        self.0.forget(page);
    }
}

impl Mru {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> Mru {
        Mru(Fifo::new(capacity))
    }
}

impl Policy for Mru {
    fn touch(&mut self, page: Page) -> bool {
        self.0.list.renew(page)
    }

    fn make_room(&mut self, pages: usize, _missed: Page, out: &mut Vec<Page>) {
        for _ in 0..self.0.excess(pages) {
            out.extend(self.0.list.pop_newest());
        }
    }

    fn insert(&mut self, page: Page, how: Install) {
        self.0.insert(page, how);
    }

    fn forget(&mut self, page: Page) {
        self.0.forget(page);
    }
}

impl Clock {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> Clock {
        Clock { queue: Fifo::new(capacity), used: HashSet::new() }
    }
}

impl Policy for Clock {
    fn touch(&mut self, page: Page) -> bool {
        let there = self.queue.touch(page);
        if there {
            self.used.insert(page);
        }
        there
    }

    fn make_room(&mut self, pages: usize, _missed: Page, out: &mut Vec<Page>) {
        for _ in 0..self.queue.excess(pages) {
            while let Some(page) = self.queue.list.pop() {
                if !self.used.remove(&page) {
                    out.push(page);
                    break;
                }
                self.queue.list.push(page);
            }
        }
    }

    fn insert(&mut self, page: Page, how: Install) {
        self.queue.insert(page, how);
    }

    fn forget(&mut self, page: Page) {
        self.queue.forget(page);
        self.used.remove(&page);
    }
}

impl Random {
    /// For `capacity` pages.
    pub fn new(capacity: usize) -> Random {
        Random { pages: Vec::new(), index: HashMap::new(), capacity, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Marsaglia's xorshift64.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn take(&mut self, at: usize) -> Page {
        let page = self.pages.swap_remove(at);
        self.index.remove(&page);
        if let Some(moved) = self.pages.get(at) {
            self.index.insert(*moved, at);
        }
        page
    }
}

impl Policy for Random {
    fn touch(&mut self, page: Page) -> bool {
        self.index.contains_key(&page)
    }

    fn make_room(&mut self, pages: usize, _missed: Page, out: &mut Vec<Page>) {
        while self.pages.len() + pages > self.capacity && !self.pages.is_empty() {
            let at = (self.next() % self.pages.len() as u64) as usize;
            out.push(self.take(at));
        }
    }

    fn insert(&mut self, page: Page, _how: Install) {
        self.index.insert(page, self.pages.len());
        self.pages.push(page);
    }

    fn forget(&mut self, page: Page) {
        if let Some(&at) = self.index.get(&page) {
            self.take(at);
        }
    }
}
