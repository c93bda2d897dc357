//! How many pages this process has in memory, and how many it may have.

use core::sync::atomic::Ordering;

use pager_core::addr::PAGE_SIZE;
use pager_core::shared::count;

use crate::arena;
use crate::control;
use crate::credit;
use crate::row;
use crate::thread;

/// Pages resident now.
pub fn now() -> u64 {
    control::process().resident.load(Ordering::Relaxed)
}

/// Counts `pages` as resident, before they are; the number after.
pub fn add(pages: u64) -> u64 {
    count(&control::counts().resident_now, pages);
    control::process().resident.fetch_add(pages, Ordering::Relaxed) + pages
}

/// Notes a number of resident pages that was reached, once there is room for all of them.
pub fn note_settled(pages: u64) {
    control::process().settled.store(pages, Ordering::Relaxed);
    control::process().peak.fetch_max(pages, Ordering::Relaxed);
    if let Some(row) = row::own() {
        row.resident_peak.fetch_max(pages, Ordering::Relaxed);
    }
}

/// Counts `pages` as gone.
pub fn remove(pages: u64) {
    let before = control::process().resident.fetch_sub(pages, Ordering::Relaxed);
    credit::lower(with_overhead(before.saturating_sub(pages)));
    control::counts().resident_now.fetch_sub(pages, Ordering::Relaxed);
}

/// Bytes of the heap and of threads' blocks that are part of the stated slack.
const ALLOWANCE: u64 = 1 << 20;

/// What of a thread's block is ever touched.
const BLOCK_TOUCHED: u64 = 24 << 10;

/// Pages that the heap (the page table of a widely scattered program, the queue of a large one) and the
/// blocks of many threads take beyond their allowance.
fn overhead() -> u64 {
    let own = arena::heap_bytes() + thread::count() * BLOCK_TOUCHED;
    own.saturating_sub(ALLOWANCE) / PAGE_SIZE
}

/// Pages that the program's memory may take now: the cap, or this process's part of it, less the overhead,
/// but never less than half of it.
pub fn room() -> u64 {
    let cap = if credit::shared() { credit::held() } else { control::cap() };
    if cap == u64::MAX { cap } else { cap.saturating_sub(overhead()).max(cap / 2).max(1) }
}

/// What the cap has to be for `pages` to be within [`room`].
pub fn with_overhead(pages: u64) -> u64 {
    pages + overhead().min(pages)
}

/// Most pages that this process could have resident now.
pub fn reach() -> u64 {
    let cap = control::cap();
    if credit::shared() && cap != u64::MAX { credit::reach() } else { cap }
}
