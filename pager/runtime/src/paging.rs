//! The engine, at work for this process.

use pager_core::addr::{PageNum, VirtAddr};
use pager_core::area::Access;
use pager_core::remote::Right;
use pager_engine::host::{Budget, Mmu, Space};
use pager_engine::work::Outcome;
use pager_engine::{evict, fault, fill};

use crate::credit;
use crate::host::Guest;
use crate::residency;

/// Makes the page of `addr` present for `access`, for the runtime's own sake. No area grows by it.
///
/// No lock may be held. Afterwards, unless the page is pinned, it may be gone again at any time.
pub fn make_resident(addr: VirtAddr, access: Access) -> Outcome {
    make_resident_by(addr, access, Right::Program)
}

/// The same by the right of whoever wants the page.
///
/// No lock may be held. A page of a file that is let through has to be a private one before a debugger writes
/// to it: see [`crate::memory::protect::make_private_page`].
pub fn make_resident_by(addr: VirtAddr, access: Access, right: Right) -> Outcome {
    fault::make_resident(&Guest, addr, access, right)
}

/// The same for a fault that the processor reported; tells a fault on a page that was there.
pub fn on_fault(addr: VirtAddr, access: Access) -> Outcome {
    fault::on_fault(&Guest, addr, access)
}

/// Evicts down to the cap, which was lowered, or to what others leave of it. No lock may be held.
pub fn keep_to_cap() {
    evict::keep_to_cap(&Guest);
}

/// Sets aside what a child will have of a shared cap, and evicts what there is then no room for in both: how
/// much it is. No lock may be held.
pub fn endow() -> u64 {
    let endowment = credit::endow(residency::with_overhead(residency::now()));
    evict::shrink(&Guest, residency::now());
    endowment
}

/// Takes the order of replacement's memory before the program runs.
pub fn fit_queue() {
    Guest.with_queue(|queue| queue.fit(Guest.cap(), Guest.policy(), Guest.table()));
}

/// Makes a page that is clean the only copy of what it holds, though the program may not write to it.
pub fn give_up_slot(page: PageNum) {
    fill::give_up_slot(&Guest, page);
}

/// Whether the kernel has a page for an access that the area allows, to where there is no marker. The page
/// must be busy.
pub fn can_be_had(page: PageNum, access: Access) -> bool {
    Guest.can_be_had(page, access)
}
