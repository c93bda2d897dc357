//! What the pages of a range hold: given up, taken over, or dropped as the kernel would.

use alloc::vec::Vec;

use pager_core::addr::{PageNum, PageRange};
use pager_core::area::Area;
use pager_core::entry::Entry;
use pager_core::table::EntryCell;

use crate::busy::{settle, take, wait};
use crate::engine;
use crate::markers;
use crate::record;
use crate::residency;
use crate::space::SPACE;
use crate::swap;

/// Forgets whatever the pages of `range` hold: resident pages, slots. The kernel's side is the caller's to
/// drop.
///
/// The writers' lock of the areas must be held.
pub fn discard(range: PageRange) {
    discard_where(range, |_| true);
}

/// Drops what the pages of an area of ours hold, as `MADV_DONTNEED` does. Guards stay.
///
/// The writers' lock of the areas must be held.
pub fn drop_contents(area: &Area) {
    discard_where(area.range, |entry| entry != Entry::Guard);
    if area.holding.lets_through() {
        markers::install(area.range);
    } else {
        // Markers of the kernel's, the program's among them, survive this.
        engine::empty(area.range, area.protection);
    }
}

/// Forgets what pages hold that `chosen` names; how many of them were in memory.
pub fn discard_where(range: PageRange, chosen: impl Fn(Entry) -> bool) -> u64 {
    let (mut dropped, mut changed) = (0, false);
    for (page, cell) in SPACE.table.existing_in(range) {
        let was = own(page, cell);
        if was == Entry::Empty {
            continue;
        }
        if !chosen(was) {
            settle(page, was);
            continue;
        }
        dropped += u64::from(was.is_resident());
        was.slot().into_iter().for_each(swap::release);
        settle(page, Entry::Empty);
        changed = true;
    }
    if changed {
        record::discarded(range);
    }
    residency::remove(dropped);
    dropped
}

/// Makes an entry busy, waiting for whoever has it; an empty one is left alone. What it was.
pub fn own(page: PageNum, cell: &EntryCell) -> Entry {
    loop {
        match cell.load() {
            Entry::Busy(_) => wait(cell),
            Entry::Empty => return Entry::Empty,
            seen if take(page, seen) => return seen,
            _ => {}
        }
    }
}

/// Makes every entry of a range busy that holds something: what they were. Each is to be settled.
///
/// The writers' lock of the areas must be held, so that no fill begins.
pub fn own_all(range: PageRange) -> Vec<(PageNum, Entry)> {
    let own = |(page, cell)| Some((page, own(page, cell))).filter(|(_, was)| *was != Entry::Empty);
    SPACE.table.existing_in(range).filter_map(own).collect()
}

/// Gives up what busy entries hold, as [`discard`] does.
pub fn forget(owned: Vec<(PageNum, Entry)>) {
    let dropped = owned.iter().filter(|(_, was)| was.is_resident()).count() as u64;
    for (page, was) in owned {
        was.slot().into_iter().for_each(swap::release);
        settle(page, Entry::Empty);
    }
    residency::remove(dropped);
}
