//! The page table: a four-level tree from page number to entry, readable and changeable without a lock.
//!
//! Shaped like the processor's own table (9 bits a level, 512 entries in a 4 KiB leaf), so a program that reserves 16 TiB and touches little
//! costs little. Nodes appear on first use and stay until the table is dropped. Does *not* know areas, kernel mappings or frames.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;

use crate::addr::{PageNum, PageRange};
use crate::entry::{Entry, WAITED_FOR, WRITER};

const FANOUT: usize = 512;
const FANOUT_BITS: u32 = 9;

struct Leaf([EntryCell; FANOUT]);
struct Node<T>([OnceBox<T>; FANOUT]);

impl<T> Node<T> {
    fn boxed() -> Box<Node<T>> {
        Box::new(Node([const { OnceBox::new() }; FANOUT]))
    }
}

impl Leaf {
    fn boxed() -> Box<Leaf> {
        Box::new(Leaf([const { EntryCell::new() }; FANOUT]))
    }
}

/// Entries of all pages of one address space (36-bit page numbers).
pub struct PageTable {
    root: Node<Node<Node<Leaf>>>,
}

impl Default for PageTable {
    fn default() -> Self {
        PageTable::new()
    }
}

impl PageTable {
    /// An empty table: every entry is [`Entry::Empty`].
    pub const fn new() -> PageTable {
        PageTable { root: Node([const { OnceBox::new() }; FANOUT]) }
    }

    /// The entry of `page`, making its leaf if need be.
    ///
    /// # Panics
    /// For a page number past 36 bits.
    pub fn entry(&self, page: PageNum) -> &EntryCell {
        let [l3, l2, l1, l0] = indices(page);
        let node = self.root.0[l3].get_or_init(Node::boxed);
        let node = node.0[l2].get_or_init(Node::boxed);
        &node.0[l1].get_or_init(Leaf::boxed).0[l0]
    }

    /// The entry of `page` if its leaf exists; where it does not, the entry is empty.
    pub fn existing(&self, page: PageNum) -> Option<&EntryCell> {
        let [_, _, _, l0] = indices(page);
        self.leaf(page).map(|leaf| &leaf.0[l0])
    }

    /// Every existing entry of `range`, ascending, jumping over what was never touched.
    pub fn existing_in(&self, range: PageRange) -> impl Iterator<Item = (PageNum, &EntryCell)> {
        let mut page = range.start();
        core::iter::from_fn(move || {
            while page < range.end() {
                match self.skip_or_leaf(page) {
                    Ok(leaf) => {
                        let cell = &leaf.0[indices(page)[3]];
                        let this = page;
                        page = page.plus(1);
                        return Some((this, cell));
                    }
                    Err(next) => page = next,
                }
            }
            None
        })
    }

    fn leaf(&self, page: PageNum) -> Option<&Leaf> {
        let [l3, l2, l1, _] = indices(page);
        self.root.0[l3].get()?.0[l2].get()?.0[l1].get()
    }

    /// The leaf of `page`, or the first page behind the hole that `page` lies in.
    fn skip_or_leaf(&self, page: PageNum) -> Result<&Leaf, PageNum> {
        let [l3, l2, l1, _] = indices(page);
        let next = |level: u32| PageNum(((page.0 >> (FANOUT_BITS * level)) + 1) << (FANOUT_BITS * level));
        let node = self.root.0[l3].get().ok_or_else(|| next(3))?;
        let node = node.0[l2].get().ok_or_else(|| next(2))?;
        node.0[l1].get().ok_or_else(|| next(1))
    }
}

fn indices(page: PageNum) -> [usize; 4] {
    assert!(page.0 >> (4 * FANOUT_BITS) == 0, "page number out of range");
    core::array::from_fn(|i| (page.0 >> (FANOUT_BITS * (3 - i as u32))) as usize & (FANOUT - 1))
}

/// An entry in the table.
///
/// All orderings are sequentially consistent: a thread that pins a range and then finds the page resident must be seen by whoever makes the
/// entry busy and then looks for pins.
pub struct EntryCell(AtomicU64);

/// What [`EntryCell::settle`] left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Waiters {
    /// Nobody slept on the entry.
    None,
    /// Somebody sleeps on the entry's futex word: wake them all.
    Some,
}

/// What a program did with a page while it was last in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    /// It only read, as far as is known.
    Read,
    /// It wrote.
    Written,
}

impl EntryCell {
    const fn new() -> EntryCell {
        EntryCell(AtomicU64::new(Entry::Empty.pack()))
    }

    /// What the entry says now.
    pub fn load(&self) -> Entry {
        Entry::unpack(self.0.load(Ordering::SeqCst))
    }

    /// Makes a non-busy entry busy if it still says `seen`; the caller then owns it. The slot stays.
    pub fn take(&self, seen: Entry) -> bool {
        debug_assert!(!matches!(seen, Entry::Busy(_)));
        let habit = self.0.load(Ordering::SeqCst) & WRITER;
        let busy = Entry::Busy(seen.slot()).pack() | habit;
        self.0.compare_exchange(seen.pack() | habit, busy, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Gives a busy entry its next state. Only its owner may call this.
    pub fn settle(&self, next: Entry) -> Waiters {
        let habit = self.0.load(Ordering::SeqCst) & WRITER;
        let before = self.0.swap(next.pack() | habit, Ordering::SeqCst);
        debug_assert!(matches!(Entry::unpack(before), Entry::Busy(_)));
        if before & WAITED_FOR == 0 { Waiters::None } else { Waiters::Some }
    }

    /// Whether the page is one that gets written to; kept from state to state until it is set anew.
    pub fn habit(&self) -> Habit {
        if self.0.load(Ordering::Relaxed) & WRITER == 0 { Habit::Read } else { Habit::Written }
    }

    /// Notes what is done with the page. Only the owner of a busy entry may call this.
    pub fn note(&self, habit: Habit) {
        match habit {
            Habit::Written => self.0.fetch_or(WRITER, Ordering::SeqCst),
            Habit::Read => self.0.fetch_and(!WRITER, Ordering::SeqCst),
        };
    }

    /// Announces a sleeper: the futex word and the value to sleep on, or `None` if the entry is not busy any more.
    pub fn wait_word(&self) -> Option<(&AtomicU64, u32)> {
        let seen = self.0.load(Ordering::SeqCst);
        if !matches!(Entry::unpack(seen), Entry::Busy(_)) {
            return None;
        }
        let marked = seen | WAITED_FOR;
        if seen != marked && self.0.compare_exchange(seen, marked, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return self.wait_word();
        }
        Some((&self.0, marked as u32))
    }

    /// The futex word's cell, to wake those who sleep on it.
    pub fn word(&self) -> &AtomicU64 {
        &self.0
    }

    /// Sets the entry with no regard to its owner: for a forked child, whose other threads are gone, and for entries no thread can reach.
    pub fn overwrite(&self, next: Entry) {
        self.0.store(next.pack(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Dirt, SwapSlot};

    #[test]
    fn existing_entries_of_a_sparse_table_are_found_in_order() {
        let table = PageTable::new();
        let pages = [0u64, 1, 511, 512, 1 << 18, (1 << 27) + 5, (1 << 36) - 1];
        for &page in pages.iter().rev() {
            assert!(table.entry(PageNum(page)).take(Entry::Empty));
            let _ = table.entry(PageNum(page)).settle(Entry::Resident(Dirt::Dirty, None));
        }
        let all = PageRange::new(PageNum(0), PageNum(1 << 36)).unwrap();
        let found: Vec<u64> =
            table.existing_in(all).filter(|(_, cell)| cell.load().is_resident()).map(|(page, _)| page.0).collect();
        assert_eq!(found, pages);
    }

    #[test]
    fn a_habit_outlives_states() {
        let table = PageTable::new();
        let cell = table.entry(PageNum(7));
        assert!(cell.take(Entry::Empty));
        assert_eq!(cell.habit(), Habit::Read);
        cell.note(Habit::Written);
        let slot = SwapSlot { file: 0, index: 9, tag: 0 };
        assert_eq!(cell.settle(Entry::Swapped(slot)), Waiters::None);
        assert_eq!((cell.load(), cell.habit()), (Entry::Swapped(slot), Habit::Written));
        assert!(cell.take(Entry::Swapped(slot)));
        cell.note(Habit::Read);
        assert_eq!(cell.settle(Entry::Empty), Waiters::None);
        assert_eq!((cell.load(), cell.habit()), (Entry::Empty, Habit::Read));
    }

    #[test]
    fn busy_keeps_the_slot_and_tells_of_sleepers() {
        let table = PageTable::new();
        let cell = table.entry(PageNum(7));
        let slot = SwapSlot { file: 3, index: u32::MAX, tag: u16::MAX };
        cell.overwrite(Entry::Swapped(slot));
        assert!(cell.take(Entry::Swapped(slot)));
        assert_eq!(cell.load(), Entry::Busy(Some(slot)));
        assert!(cell.wait_word().is_some());
        assert_eq!(cell.settle(Entry::Resident(Dirt::Clean, Some(slot))), Waiters::Some);
        assert!(cell.wait_word().is_none());
        assert_eq!(cell.load().slot(), Some(slot));
    }
}
