//! Busy entries: one thread changes a page, everybody else waits on its entry.
//!
//! A busy page stays in its area: memory calls wait for it. How many there are is counted, for those who want
//! the space at rest.

use core::sync::atomic::Ordering;

use pager_core::addr::PageNum;
use pager_core::entry::Entry;
use pager_core::table::Waiters;

use crate::host::{Park, Space};

/// Gives a busy entry its next state and wakes those who waited.
pub fn settle<H: Space + Park>(host: &H, page: PageNum, next: Entry) {
    let cell = host.table().entry(page);
    if cell.settle(next) == Waiters::Some {
        host.wake(cell);
    }
    host.busy().fetch_sub(1, Ordering::SeqCst);
}

/// Makes an entry busy if it says `seen`, when the space is not at rest; it will not be before the entry is
/// settled.
pub fn take_at_work<H: Space>(host: &H, page: PageNum, seen: Entry) -> bool {
    host.with_areas(|_| take(host, page, seen))
}

/// Makes an entry busy if it says `seen`. The lock of the areas must be held, or that of the queue: who wants
/// the space at rest takes both.
pub fn take<H: Space>(host: &H, page: PageNum, seen: Entry) -> bool {
    host.busy().fetch_add(1, Ordering::SeqCst);
    let taken = host.table().entry(page).take(seen);
    if !taken {
        host.busy().fetch_sub(1, Ordering::SeqCst);
    }
    taken
}
