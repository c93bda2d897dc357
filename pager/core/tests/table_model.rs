//! The page table against a map, its entries against their packing, and both under threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange, VirtAddr};
use pager_core::entry::{Dirt, Entry, ImageRow, SwapSlot};
use pager_core::table::{EntryCell, PageTable, Waiters};
use proptest::collection::vec;
use proptest::prelude::*;

fn slot() -> impl Strategy<Value = SwapSlot> {
    (any::<u8>(), any::<u32>(), any::<u16>()).prop_map(|(file, index, tag)| SwapSlot { file, index, tag })
}

fn entry() -> impl Strategy<Value = Entry> {
    let maybe_slot = || prop::option::of(slot());
    prop_oneof![
        Just(Entry::Empty),
        any::<u16>().prop_map(|row| Entry::Mapped(ImageRow(row))),
        Just(Entry::Zero),
        Just(Entry::Guard),
        (prop_oneof![Just(Dirt::Clean), Just(Dirt::Dirty)], maybe_slot())
            .prop_map(|(dirt, slot)| Entry::Resident(dirt, slot)),
        slot().prop_map(Entry::Swapped),
        maybe_slot().prop_map(Entry::Busy),
    ]
}

/// Page numbers at the edges of nodes of every level, and anywhere.
fn page() -> impl Strategy<Value = u64> {
    let edge = (0..4usize, 0..3u64, 0..3u64).prop_map(|(level, nth, near)| {
        (nth.saturating_mul(1 << [0, 6, 15, 24][level]) + near).saturating_sub(1)
    });
    prop_oneof![3 => edge, 1 => 0..1u64 << 36]
}

proptest! {
    #[test]
    fn packing_loses_nothing(entry in entry(), other in entry()) {
        prop_assert_eq!(Entry::unpack(entry.pack()), entry);
        prop_assert_eq!(entry.pack() == other.pack(), entry == other);
    }

    /// All state but the slot's index and the image's row is in the low half, which is the futex word.
    #[test]
    fn the_low_half_tells_the_state(entry in entry()) {
        let high = match entry {
            Entry::Mapped(ImageRow(row)) => row.into(),
            other => other.slot().map_or(0, |slot| slot.index),
        };
        prop_assert_eq!(entry.pack() >> 32, u64::from(high));
    }

    #[test]
    fn the_table_says_what_a_map_says(
        writes in vec((page(), entry()), 0..60),
        ranges in vec((page(), 1..3000u64), 0..6),
        probes in vec(page(), 0..20),
    ) {
        let table = PageTable::new();
        let mut model = BTreeMap::new();
        for (page, entry) in writes {
            table.entry(PageNum(page)).overwrite(entry);
            model.insert(page, entry);
        }
        for page in probes.into_iter().chain(model.keys().copied()) {
            let said = table.existing(PageNum(page)).map_or(Entry::Empty, EntryCell::load);
            prop_assert_eq!(said, model.get(&page).copied().unwrap_or(Entry::Empty));
        }
        for (start, count) in ranges {
            let range = PageRange::new(PageNum(start), PageNum((start + count).min(1 << 36))).unwrap();
            let found: Vec<(u64, Entry)> = table
                .existing_in(range)
                .map(|(page, cell)| (page.0, cell.load()))
                .filter(|(_, entry)| *entry != Entry::Empty)
                .collect();
            let expected: Vec<(u64, Entry)> = model
                .range(range.start().0..range.end().0)
                .filter(|(_, entry)| **entry != Entry::Empty)
                .map(|(&page, &entry)| (page, entry))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn ranges_agree_with_sets(a in 0..40u64, b in 0..40u64, c in 0..40u64, d in 0..40u64) {
        let set = |range: Option<PageRange>| range.map_or(Vec::new(), |range| range.iter().collect());
        let (one, other) = (PageRange::new(PageNum(a), PageNum(b)), PageRange::new(PageNum(c), PageNum(d)));
        prop_assert_eq!(set(one).len() as u64, b.saturating_sub(a));
        let both: Vec<PageNum> = set(one).into_iter().filter(|page| other.is_some_and(|other| other.contains(*page))).collect();
        prop_assert_eq!(set(one.zip(other).and_then(|(one, other)| one.intersect(other))), both);
    }

    #[test]
    fn touching_covers_each_byte(addr in any::<u64>(), len in 0..3 * PAGE_SIZE) {
        let range = PageRange::touching(VirtAddr(addr), len);
        match len.checked_sub(1).and_then(|rest| addr.checked_add(rest)) {
            None => prop_assert_eq!(range, None),
            Some(last) => {
                let range = range.unwrap();
                prop_assert_eq!(range.start(), VirtAddr(addr).page());
                prop_assert_eq!(range.end(), VirtAddr(last).page().plus(1));
            }
        }
    }
}

/// Threads take and settle the same few entries; a counter that only the owner touches shows whether two ever
/// owned one at once.
#[test]
fn a_busy_entry_has_one_owner() {
    const PAGES: u64 = 3;
    let rounds = if cfg!(miri) { 50 } else { 50_000 };
    let table = PageTable::new();
    let owned: Vec<AtomicU64> = (0..PAGES).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (table, owned) = (&table, &owned);
            scope.spawn(move || {
                for round in 0..rounds {
                    let page = (round + thread) % PAGES;
                    let cell = table.entry(PageNum(page * 512));
                    let seen = cell.load();
                    if matches!(seen, Entry::Busy(_)) {
                        let _ = cell.wait_word();
                        continue;
                    }
                    if cell.take(seen) {
                        assert_eq!(owned[page as usize].fetch_add(1, Ordering::SeqCst), 0);
                        owned[page as usize].fetch_sub(1, Ordering::SeqCst);
                        let next =
                            if round % 2 == 0 { Entry::Resident(Dirt::Dirty, None) } else { Entry::Empty };
                        let _: Waiters = cell.settle(next);
                    }
                }
            });
        }
    });
    for page in 0..PAGES {
        assert!(!matches!(table.entry(PageNum(page * 512)).load(), Entry::Busy(_)));
    }
}

/// First touches of one leaf by many threads must end in one leaf.
#[test]
fn threads_that_make_the_same_leaf_agree_on_it() {
    for round in 0..if cfg!(miri) { 2 } else { 200 } {
        let table = PageTable::new();
        let cells: Vec<usize> = std::thread::scope(|scope| {
            let touch = || std::ptr::from_ref(table.entry(PageNum(round << 20))) as usize;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(touch)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(cells.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
