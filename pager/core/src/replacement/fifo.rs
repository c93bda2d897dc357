//! First in, first out: the floor that every other policy is measured against.

use alloc::vec::Vec;

use crate::addr::{PageNum, PageRange};
use crate::replacement::ledger::Ledger;
use crate::replacement::{Install, Policy, exceeds_twice};

const QUEUE: usize = 0;

/// The page that has been in memory longest goes first, in use or not.
#[derive(Debug)]
pub struct Fifo {
    ledger: Ledger<1>,
    cap_pages: u64,
}

impl Fifo {
    /// A queue for at most `cap_pages` resident pages; `u64::MAX` stands for no cap: then nothing is tracked,
    /// and there are no victims.
    pub fn new(cap_pages: u64) -> Fifo {
        Fifo { ledger: Ledger::new(), cap_pages }
    }
}

impl Policy for Fifo {
    fn installed(&mut self, page: PageNum, _how: Install) {
        if self.cap_pages != u64::MAX {
            self.ledger.push(QUEUE, page, 0);
        }
    }

    fn victims(&mut self, wanted: usize, resident: impl Fn(PageNum) -> bool, out: &mut Vec<PageNum>) {
        let enough = out.len().saturating_add(wanted);
        while out.len() < enough {
            let Some((page, _)) = self.ledger.pop(QUEUE) else { return };
            if resident(page) {
                out.push(page);
            }
        }
    }

    fn put_back(&mut self, page: PageNum) {
        self.installed(page, Install::Refault);
    }

    fn forget(&mut self, range: PageRange) {
        self.ledger.take_range(range);
    }

    fn overgrown(&self) -> bool {
        exceeds_twice(self.cap_pages, self.ledger.len())
    }

    fn sweep(&mut self, resident: impl Fn(PageNum) -> bool) {
        self.ledger.retain(resident);
    }

    fn len(&self) -> usize {
        self.ledger.len()
    }

    fn memory_bytes(&self) -> usize {
        self.ledger.memory_bytes()
    }
}
