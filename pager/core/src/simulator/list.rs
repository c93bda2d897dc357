//! A queue of pages in which each stands at most once and is found, taken out or moved in constant time.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::Page;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    page: Page,
    before: u32,
    after: u32,
}

/// Pages in order: the oldest first, the newest last.
#[derive(Debug)]
pub struct List {
    nodes: Vec<Node>,
    free: Vec<u32>,
    index: HashMap<Page, u32>,
    first: u32,
    last: u32,
}

impl Default for List {
    fn default() -> List {
        List { nodes: Vec::new(), free: Vec::new(), index: HashMap::new(), first: NONE, last: NONE }
    }
}

impl List {
    /// Number of pages.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether `page` stands in it.
    pub fn contains(&self, page: Page) -> bool {
        self.index.contains_key(&page)
    }

    /// Puts `page`, which must not stand in it, at the end.
    pub fn push(&mut self, page: Page) {
        let node = Node { page, before: self.last, after: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        };
        match self.last {
            NONE => self.first = at,
            last => self.nodes[last as usize].after = at,
        }
        self.last = at;
        self.index.insert(page, at);
    }

    /// Takes `page` out; whether it was there.
    pub fn remove(&mut self, page: Page) -> bool {
        let Some(at) = self.index.remove(&page) else { return false };
        let Node { before, after, .. } = self.nodes[at as usize];
        match before {
            NONE => self.first = after,
            before => self.nodes[before as usize].after = after,
        }
        match after {
            NONE => self.last = before,
            after => self.nodes[after as usize].before = before,
        }
        self.free.push(at);
        true
    }

    /// Moves `page` to the end; whether it was there.
    pub fn renew(&mut self, page: Page) -> bool {
        let there = self.remove(page);
        if there {
            self.push(page);
        }
        there
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Page> {
        let page = self.nodes.get(self.first as usize)?.page;
        self.remove(page).then_some(page)
    }

    /// Takes the newest.
    pub fn pop_newest(&mut self) -> Option<Page> {
        let page = self.nodes.get(self.last as usize)?.page;
        self.remove(page).then_some(page)
    }
}
