//! A touch of the program's memory: a fault, after which an area may grow down to it.

use pager_core::addr::VirtAddr;
use pager_core::area::Access;

use crate::memory::grow;
use crate::paging;
use pager_engine::work::Outcome;

/// Makes the page of `addr` present for `access`, for the runtime's own sake.
///
/// No lock may be held. Afterwards, unless the page is pinned, it may be gone again at any time.
pub fn make_resident(addr: VirtAddr, access: Access) -> Outcome {
    match paging::make_resident(addr, access) {
        Outcome::NoArea if grow::down_to(addr.page()) => paging::make_resident(addr, access),
        outcome => outcome,
    }
}

/// The same for a fault that the processor reported; tells a fault on a page that was there.
pub fn on_fault(addr: VirtAddr, access: Access) -> Outcome {
    match paging::on_fault(addr, access) {
        Outcome::NoArea if grow::down_to(addr.page()) => match paging::on_fault(addr, access) {
            // Another thread was quicker.
            Outcome::Spurious => Outcome::Resolved,
            outcome => outcome,
        },
        outcome => outcome,
    }
}
