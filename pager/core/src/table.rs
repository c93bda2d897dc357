//! The page table: a four-level tree from page number to entry, readable and changeable without a lock.
//!
//! Shaped like the processor's own table, but with leaves of 64 entries (512 bytes, 256 KiB of address
//! space): a program that touches a page here and a page there costs an eighth of what leaves of 4 KiB would.
//! Nodes appear on first use and stay until the table is dropped. Does *not* know areas, kernel mappings or
//! frames.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use once_cell::race::OnceBox;

use crate::addr::{PageNum, PageRange};
use crate::entry::{Entry, WAITED_FOR, WRITER};

/// Bits of a page number that each level decides, from the root down.
const BITS: [u32; 4] = [12, 9, 9, 6];
/// Bits of a page number below each level.
const BELOW: [u32; 4] = [BITS[1] + BITS[2] + BITS[3], BITS[2] + BITS[3], BITS[3], 0];
const ROOT: usize = 1 << BITS[0];
const FANOUT: usize = 1 << BITS[1];
const ENTRIES: usize = 1 << BITS[3];

struct Leaf([EntryCell; ENTRIES]);
/// In the memory of another process a node is an array of addresses, and a leaf one of entries: see
/// [`PageTable::entry_elsewhere`].
const _: () = assert!(size_of::<OnceBox<Leaf>>() == 8 && size_of::<EntryCell>() == 8);
struct Node<T, const N: usize = FANOUT>([OnceBox<T>; N]);

impl<T, const N: usize> Node<T, N> {
    const fn new() -> Node<T, N> {
        Node([const { OnceBox::new() }; N])
    }

    fn boxed() -> Box<Node<T, N>> {
        Box::new(Node::new())
    }

    fn hole(&self, at: usize) -> Hole<'_, T> {
        match self.0[at].get() {
            Some(node) => Hole::None(node),
            None => Hole::Of(self.0[at..].iter().take_while(|node| node.get().is_none()).count()),
        }
    }
}

/// What a node has at an index.
enum Hole<'a, T> {
    /// Something.
    None(&'a T),
    /// Nothing there, and nothing at so many indices in all.
    Of(usize),
}

impl Leaf {
    fn boxed() -> Box<Leaf> {
        Box::new(Leaf([const { EntryCell::new() }; ENTRIES]))
    }
}

/// Entries of all pages of one address space (36-bit page numbers).
pub struct PageTable {
    root: Node<Node<Node<Leaf>>, ROOT>,
    bytes: AtomicUsize,
}

impl Default for PageTable {
    fn default() -> Self {
        PageTable::new()
    }
}

impl PageTable {
    /// An empty table: every entry is [`Entry::Empty`].
    pub const fn new() -> PageTable {
        PageTable { root: Node::new(), bytes: AtomicUsize::new(0) }
    }

    /// Bytes of all nodes below the root.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A node, its bytes counted. Two threads may make the same one, and one of them is dropped at once: the
    /// count errs upwards.
    fn counted<T>(&self, make: fn() -> Box<T>) -> Box<T> {
        self.bytes.fetch_add(size_of::<T>(), Ordering::Relaxed);
        make()
    }

    /// The entry of `page`, making its leaf if need be.
    ///
    /// # Panics
    /// For a page number past 36 bits.
    pub fn entry(&self, page: PageNum) -> &EntryCell {
        let [l3, l2, l1, l0] = indices(page);
        let node = self.root.0[l3].get_or_init(|| self.counted(Node::boxed));
        let node = node.0[l2].get_or_init(|| self.counted(Node::boxed));
        &node.0[l1].get_or_init(|| self.counted(Leaf::boxed)).0[l0]
    }

    /// The entry of `page` if its leaf exists; where it does not, the entry is empty.
    pub fn existing(&self, page: PageNum) -> Option<&EntryCell> {
        let [_, _, _, l0] = indices(page);
        self.leaf(page).map(|leaf| &leaf.0[l0])
    }

    /// Every existing entry of `range`, ascending, jumping over what was never touched.
    pub fn existing_in(&self, range: PageRange) -> impl Iterator<Item = (PageNum, &EntryCell)> {
        let (mut page, end) = (range.start(), range.end());
        core::iter::from_fn(move || {
            let (first, leaf) = self.next_leaf(page, end)?;
            let (from, upto) =
                (indices(first)[3], ENTRIES.min((end.0 - (first.0 - indices(first)[3] as u64)) as usize));
            page = first.plus((upto - from) as u64);
            Some((from..upto).map(move |at| (first.plus((at - from) as u64), &leaf.0[at])))
        })
        .flatten()
    }

    /// The entry of `page` in another process's table, which lies at `table` there; `word` reads a word of
    /// its memory. Where no leaf holds it, the entry is empty; nothing where a word cannot be read or makes
    /// no sense.
    pub fn entry_elsewhere(table: u64, page: PageNum, word: impl Fn(u64) -> Option<u64>) -> Option<Entry> {
        let mut node = table + core::mem::offset_of!(PageTable, root) as u64;
        let indices = indices(page);
        for index in &indices[..3] {
            node = word(node + *index as u64 * 8)?;
            if node == 0 {
                return Some(Entry::Empty);
            }
        }
        let bits = word(node + indices[3] as u64 * 8)?;
        EntryCell(AtomicU64::new(bits)).is_sound().then(|| Entry::unpack(bits))
    }

    fn leaf(&self, page: PageNum) -> Option<&Leaf> {
        let [l3, l2, l1, _] = indices(page);
        self.root.0[l3].get()?.0[l2].get()?.0[l1].get()
    }

    /// The first leaf at or behind `page` that has pages before `end`, and the first page to look at in it.
    /// Each node's holes are passed over in one go: to find out at every hole anew where it lies made the
    /// walk of a small program's table a tenth of its fork.
    fn next_leaf(&self, mut page: PageNum, end: PageNum) -> Option<(PageNum, &Leaf)> {
        while page < end {
            let [l3, l2, l1, _] = indices(page);
            let behind = |level: usize, nodes: usize| {
                PageNum(((page.0 >> BELOW[level]) + nodes as u64) << BELOW[level])
            };
            page = match self.root.hole(l3) {
                Hole::None(node) => match node.hole(l2) {
                    Hole::None(node) => match node.hole(l1) {
                        Hole::None(leaf) => return Some((page, leaf)),
                        Hole::Of(nodes) => behind(2, nodes),
                    },
                    Hole::Of(nodes) => behind(1, nodes),
                },
                Hole::Of(nodes) => behind(0, nodes),
            };
        }
        None
    }
}

fn indices(page: PageNum) -> [usize; 4] {
    assert!(page.0 >> (BITS[0] + BELOW[0]) == 0, "page number out of range");
    core::array::from_fn(|level| (page.0 >> BELOW[level]) as usize & ((1 << BITS[level]) - 1))
}

/// An entry in the table.
///
/// All orderings are sequentially consistent: a thread that pins a range and then finds the page resident
/// must be seen by whoever makes the entry busy and then looks for pins.
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

    /// Whether it is one that [`Entry::pack`] makes: no swapped one without a slot.
    fn is_sound(&self) -> bool {
        Entry::is_sound(self.0.load(Ordering::SeqCst))
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

    /// Announces a sleeper: the futex word and the value to sleep on, or `None` if the entry is not busy any
    /// more.
    pub fn wait_word(&self) -> Option<(&AtomicU64, u32)> {
        let seen = self.0.load(Ordering::SeqCst);
        if !matches!(Entry::unpack(seen), Entry::Busy(_)) {
            return None;
        }
        let marked = seen | WAITED_FOR;
        if seen != marked
            && self.0.compare_exchange(seen, marked, Ordering::SeqCst, Ordering::SeqCst).is_err()
        {
            return self.wait_word();
        }
        Some((&self.0, marked as u32))
    }

    /// The futex word's cell, to wake those who sleep on it.
    pub fn word(&self) -> &AtomicU64 {
        &self.0
    }

    /// Sets the entry with no regard to its owner: for a forked child, whose other threads are gone, and for
    /// entries no thread can reach.
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
        let found: Vec<u64> = table
            .existing_in(all)
            .filter(|(_, cell)| cell.load().is_resident())
            .map(|(page, _)| page.0)
            .collect();
        assert_eq!(found, pages);
    }

    /// A table in a memory of words, as another process has it.
    #[test]
    fn a_table_elsewhere_is_read_word_by_word() {
        let slot = SwapSlot { file: 1, index: 5, tag: 7 };
        let page = PageNum(3 << 24 | 2 << 15 | 1 << 6 | 9);
        let (table, nodes) = (0x1000u64, [0x10_0000u64, 0x20_0000, 0x30_0000]);
        let word = |bits: u64| {
            move |at: u64| match at {
                at if at == table + 3 * 8 => Some(nodes[0]),
                at if at == nodes[0] + 2 * 8 => Some(nodes[1]),
                at if at == nodes[1] + 8 => Some(nodes[2]),
                at if at == nodes[2] + 9 * 8 => Some(bits),
                at if at < nodes[0] => Some(0),
                _ => None,
            }
        };
        let entry = |page, bits| PageTable::entry_elsewhere(table, page, word(bits));
        assert_eq!(entry(page, Entry::Swapped(slot).pack()), Some(Entry::Swapped(slot)));
        assert_eq!(entry(PageNum(4 << 24), 0), Some(Entry::Empty), "no node");
        assert_eq!(entry(page.plus(1), 0), None, "unreadable");
        assert_eq!(entry(page, 2), None, "swapped without a slot");
    }

    #[test]
    fn a_page_here_and_a_page_there_cost_little() {
        let table = PageTable::new();
        (0..4096u64).for_each(|i| table.entry(PageNum(i * 512)).overwrite(Entry::Zero));
        assert!(table.memory_bytes() <= 4096 * 640, "{} bytes for 4096 pages", table.memory_bytes());
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
