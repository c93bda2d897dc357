//! The last step of a fill: pages that have come are tracked, those that cannot be had are given up.

use pager_core::addr::{PageNum, PageRange};
use pager_core::entry::Entry;
use pager_core::replacement::Install as Arrival;

use crate::busy::settle;
use crate::host::Host;

/// Has the pages tracked, before they are settled: at no moment is a page resident and not in the queue while
/// nothing is busy.
pub(crate) fn arrived<H: Host>(host: &H, run: PageRange, touched: PageNum, how: Arrival) {
    let cap = host.cap();
    if cap == u64::MAX {
        return;
    }
    host.with_queue(|queue| {
        queue.fit(cap, host.policy(), host.table());
        for page in run.iter() {
            queue.installed(page, if page == touched { how } else { Arrival::Around }, host.table());
        }
    });
}

/// Leaves pages as they were before the fill.
pub(crate) fn give_up<H: Host>(host: &H, run: Option<PageRange>) {
    let Some(run) = run else { return };
    for page in run.iter() {
        settle(host, page, Entry::Empty);
    }
    host.uncharge(run.count());
}
