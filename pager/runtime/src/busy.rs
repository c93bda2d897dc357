//! Busy entries: one thread changes a page, everybody else waits on its entry.
//!
//! A busy page stays in its area: memory calls wait for it. How many there are is counted, for those who want
//! the process at rest.

use core::sync::atomic::Ordering;

use pager_core::addr::PageNum;
use pager_core::entry::Entry;
use pager_core::table::{EntryCell, Waiters};

use crate::space::SPACE;
use crate::sys::futex;

/// Sleeps until a busy entry changes.
pub fn wait(cell: &EntryCell) {
    if let Some((word, value)) = cell.wait_word() {
        futex::wait_low(word, value);
    }
}

/// Gives a busy entry its next state and wakes those who waited.
pub fn settle(page: PageNum, next: Entry) {
    let cell = SPACE.table.entry(page);
    if cell.settle(next) == Waiters::Some {
        futex::wake_low(cell.word());
    }
    SPACE.busy.fetch_sub(1, Ordering::SeqCst);
}

/// Makes an entry busy if it says `seen`, when the process is not at rest; it will not be before the entry is
/// settled.
pub fn take_at_work(page: PageNum, seen: Entry) -> bool {
    let _areas = SPACE.areas.read();
    take(page, seen)
}

/// Makes an entry busy if it says `seen`. The lock of the areas must be held, or that of the queue: who wants
/// the process at rest takes both.
pub fn take(page: PageNum, seen: Entry) -> bool {
    SPACE.busy.fetch_add(1, Ordering::SeqCst);
    let taken = SPACE.table.entry(page).take(seen);
    if !taken {
        SPACE.busy.fetch_sub(1, Ordering::SeqCst);
    }
    taken
}
