//! Guards that the program lays: `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE`.
//!
//! A guarded page has [`Entry::Guard`], and the kernel's own marker beneath: the program's touch is a
//! SIGSEGV, the kernel's an EFAULT, under every engine.

use alloc::vec::Vec;

use pager_core::addr::PageRange;
use pager_core::area::{Area, Holding};
use pager_core::entry::Entry;

use super::{drop_contents, own};
use crate::busy::{settle, take, wait};
use crate::engine;
use crate::markers;
use crate::space::SPACE;

/// Guards the pages of an area of ours; what they held is gone.
///
/// The writers' lock of the areas must be held.
pub fn install(area: &Area) {
    drop_contents(area);
    // Every page has an entry from now on.
    for page in area.range.iter() {
        let cell = SPACE.table.entry(page);
        loop {
            match cell.load() {
                Entry::Guard => break,
                Entry::Busy(_) => wait(cell),
                seen if take(page, seen) => {
                    settle(page, Entry::Guard);
                    break;
                }
                _ => {}
            }
        }
    }
    markers::install(area.range);
}

/// The pages of `range` that the program guards.
pub fn laid_in(range: PageRange) -> Vec<PageRange> {
    let guarded = SPACE.table.existing_in(range).filter(|(_, cell)| cell.load() == Entry::Guard);
    guarded.map(|(page, _)| PageRange::single(page)).collect()
}

/// Lifts the guards of an area of ours; other pages stay as they are.
///
/// The writers' lock of the areas must be held.
pub fn remove(area: &Area) {
    for (page, cell) in SPACE.table.existing_in(area.range) {
        if cell.load() != Entry::Guard || own(page, cell) != Entry::Guard {
            continue;
        }
        // What the engine wants beneath an empty page: a marker of its own, or nothing.
        if area.holding == Holding::Private {
            engine::unguard(PageRange::single(page));
        }
        settle(page, Entry::Empty);
    }
}
