//! mprotect.

use pager_core::addr::{PageNum, PageRange};
use pager_core::area::{Area, AreaTree, Holding, Protection};

use super::{aligned_range, discard, is_ours, leave_to_kernel, make_private};
use crate::engine;
use crate::state::STATE;
use crate::sys::Errno;
use crate::sys::memory as kernel;

const PROT_GROWSDOWN: u64 = 0x0100_0000;
const PROT_GROWSUP: u64 = 0x0200_0000;
const PROT_MASK: u64 = 0xf;

/// Changes what the program may do with a range.
///
/// # Errors
/// As mprotect(2): ENOMEM where part of the range is not mapped, EINVAL for bad arguments.
pub fn mprotect(addr: u64, len: u64, prot: u64) -> Result<u64, Errno> {
    if prot & (PROT_GROWSDOWN | PROT_GROWSUP) == PROT_GROWSDOWN | PROT_GROWSUP {
        return Err(Errno::EINVAL);
    }
    if len == 0 && addr.is_multiple_of(pager_core::addr::PAGE_SIZE) {
        return Ok(0);
    }
    let mut range = aligned_range(addr, len).map_err(|errno| if len > 1 << 47 { Errno::ENOMEM } else { errno })?;
    if is_ours(range) {
        return Err(Errno::ENOMEM);
    }
    let mut areas = STATE.areas.write();
    if prot & PROT_GROWSDOWN != 0
        && let Some(area) = areas.find(range.start())
    {
        // Our stack is one area of full size: what would have grown is there already.
        range = PageRange::new(area.range.start(), range.end()).unwrap_or(range);
    }
    let protection = Protection::from_prot(prot);
    let covered = covered_from_start(&areas, range);
    if let Some(range) = covered {
        change(&mut areas, range, protection, prot & PROT_MASK)?;
    }
    if covered.is_some_and(|covered| covered == range) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// As much of `range` as is mapped without a gap from its start: the kernel changes that before it fails.
fn covered_from_start(areas: &AreaTree, range: PageRange) -> Option<PageRange> {
    let mut end = range.start();
    for area in areas.overlapping(range) {
        if area.range.start() > end {
            break;
        }
        end = PageNum(area.range.end().0);
    }
    PageRange::new(range.start(), end)
}

/// Changes area by area: where one refuses, those before it are changed.
fn change(areas: &mut AreaTree, range: PageRange, protection: Protection, prot: u64) -> Result<(), Errno> {
    let pieces: alloc::vec::Vec<Area> = areas.overlapping(range).collect();
    for area in pieces {
        let writes = protection.contains(Protection::WRITE);
        if writes && area.holding == Holding::MapThrough {
            make_writable(areas, &area)?;
        }
        if area.holding == Holding::Private && area.protection.is_empty() {
            engine::mark_missing(area.range, protection);
        }
        kernel::mprotect(area.range.start().start().0, area.range.bytes(), prot)?;
        if writes && area.holding == Holding::SharedThrough {
            leave_to_kernel(areas, &area)?;
        }
        areas.update(area.range, |area| area.protection = protection);
    }
    Ok(())
}

/// Pages of the file itself become memory of ours before they can be written to. They are clean, so nothing is lost.
fn make_writable(areas: &mut AreaTree, area: &Area) -> Result<(), Errno> {
    discard(area.range);
    make_private(area.range, area.protection, area.fork)?;
    areas.update(area.range, |area| area.holding = Holding::Private);
    Ok(())
}
