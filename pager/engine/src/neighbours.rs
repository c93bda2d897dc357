//! Which pages are brought in together with the one that was touched.

use pager_core::addr::{PageNum, PageRange};
use pager_core::area::{Area, Protection};
use pager_core::entry::{Dirt, Entry, SwapSlot};
use pager_core::fault::{Plan, around};
use pager_core::table::EntryCell;

use crate::batch::BATCH;
use crate::busy::take;
use crate::host::Host;
use crate::readahead::WINDOW;

/// Takes the pages that are worth bringing in together with `page`, which is taken already.
pub fn take_neighbours<H: Host>(host: &H, area: &Area, page: PageNum, entry: Entry, plan: Plan) -> PageRange {
    // All threads may fill at once, and what they fill must not be most of the cap.
    let share = (host.reach() / 4 / host.threads()).max(1);
    let fault_around = host.fault_around().clamp(1, share);
    // Text and read-only data that have to be read are touched here and there, as those that are mapped
    // through are.
    let reads_around = matches!(plan, Plan::FillImage { .. })
        && !area.protection.contains(Protection::WRITE)
        && fault_around > 1;
    let near = if area.holding.lets_through() {
        around(area, page, fault_around)
    } else if reads_around {
        around(area, page, fault_around.min(BATCH as u64))
    } else {
        let window = host.with_streams(|streams| streams.window(page)).min(share);
        let ahead = PageRange::with_count(page, window).and_then(|ahead| ahead.intersect(area.range));
        let same = around(area, page, WINDOW * 2);
        ahead.map_or(PageRange::single(page), |ahead| match plan {
            Plan::FillZero | Plan::FillImage { .. } => {
                ahead.intersect(same).unwrap_or(PageRange::single(page))
            }
            _ => ahead,
        })
    };
    let mut end = page.plus(1);
    while end < near.end() && take_like(host, page, entry, plan, end) {
        end = end.plus(1);
    }
    let mut start = page;
    while start > near.start() && take_like(host, page, entry, plan, PageNum(start.0 - 1)) {
        start = PageNum(start.0 - 1);
    }
    if !area.holding.lets_through() && !reads_around {
        host.with_streams(|streams| streams.filled(end, end.0 - page.0));
    }
    PageRange::new(start, end).unwrap_or(PageRange::single(page))
}

/// Takes `other` if its entry can be handled in one go with that of `page`.
fn take_like<H: Host>(host: &H, page: PageNum, entry: Entry, plan: Plan, other: PageNum) -> bool {
    let seen = host.table().existing(other).map_or(Entry::Empty, EntryCell::load);
    let alike = match (plan, seen) {
        (Plan::SwapIn(first), Entry::Swapped(slot)) => follows(first, slot, other.0.wrapping_sub(page.0)),
        (Plan::Unprotect, Entry::Resident(Dirt::Clean, _)) => true,
        (Plan::FillZero | Plan::FillImage { .. } | Plan::MapThrough, Entry::Empty | Entry::Zero) => {
            entry == seen
        }
        _ => false,
    };
    alike && take(host, other, seen)
}

fn follows(first: SwapSlot, slot: SwapSlot, distance: u64) -> bool {
    first.file == slot.file && u64::from(slot.index).wrapping_sub(first.index.into()) == distance
}
