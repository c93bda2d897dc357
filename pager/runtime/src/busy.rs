//! Busy entries of this process's pages: [`pager_engine::busy`], and how it waits for them.

use pager_core::addr::PageNum;
use pager_core::entry::Entry;
use pager_core::table::EntryCell;
use pager_engine::busy;
use pager_engine::host::Park;

use crate::host::Guest;

/// Sleeps until a busy entry changes.
pub fn wait(cell: &EntryCell) {
    Guest.wait(cell);
}

/// Gives a busy entry its next state and wakes those who waited.
pub fn settle(page: PageNum, next: Entry) {
    busy::settle(&Guest, page, next);
}

/// Makes an entry busy if it says `seen`. The lock of the areas must be held, or that of the queue: who wants
/// the process at rest takes both.
pub fn take(page: PageNum, seen: Entry) -> bool {
    busy::take(&Guest, page, seen)
}
