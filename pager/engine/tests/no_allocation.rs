//! Faults and evictions of a space that is warm allocate nothing: a fault may come while the program holds whatever
//! lock, and memory may be what is short.

mod model;
#[path = "system/mod.rs"]
mod sync;

use std::sync::atomic::Ordering;

use model::{BASE, Model, next};
use pager_core::addr::VirtAddr;
use pager_core::replacement::PolicyKind;

const PAGES: u64 = 256;

#[test]
fn faults_and_evictions_allocate_nothing() {
    for policy in [PolicyKind::TwoQueue, PolicyKind::Fifo] {
        let model = Model::new(PAGES, 48, policy, 1);
        let mut state = 9;
        let mut touch = |_| {
            let page = BASE.plus((next(&mut state) >> 9) % (PAGES * 7 / 8));
            let writes = next(&mut state) >> 9 & 1 == 0;
            let _ = model.touch(VirtAddr(page.start().0), writes.then_some(7));
        };
        // The tables of pages and of the queue grow with what is touched for the first time.
        (0..50_000).for_each(&mut touch);
        let evicted = model.told.evicted.load(Ordering::Relaxed);
        let counted = allocation_counter::measure(|| (0..20_000).for_each(&mut touch));
        assert!(model.told.evicted.load(Ordering::Relaxed) > evicted + 1_000);
        assert_eq!(counted.count_total, 0, "{policy:?}: {counted:?}");
    }
}
