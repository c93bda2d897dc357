//! Bringing pages in ahead of use: MAP_POPULATE, mlock.

use pager_core::addr::{PageRange, VirtAddr};
use pager_core::area::{Access, Protection};

use crate::paging;
use crate::residency;
use crate::sys::memory::PROT_READ;
use pager_engine::work::Outcome;

/// Brings pages in ahead of use, as far as they can be had.
pub fn populate(addr: u64, len: u64, prot: u64) {
    let access =
        if Protection::from_prot(prot).contains(Protection::WRITE) { Access::Write } else { Access::Read };
    if prot & PROT_READ == 0 && access == Access::Read {
        return;
    }
    let Some(range) = PageRange::touching(VirtAddr(addr), len) else { return };
    // More than the cap would only push out what came first.
    for page in range.iter().take((residency::reach() / 2).min(usize::MAX as u64) as usize) {
        if paging::make_resident(page.start(), access) != Outcome::Resolved {
            return;
        }
    }
}
