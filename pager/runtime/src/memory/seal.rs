//! mseal: areas that stay as they are until the process ends.
//!
//! Kept on our areas and asked for by the calls that would change them. The kernel is told of the areas that
//! are its own only: ours it would not let us evict.

use alloc::vec::Vec;

use pager_core::addr::{PAGE_SIZE, PageRange};
use pager_core::area::{Area, AreaTree, Backing, Holding, Protection, Sealing};

use super::range::{Given, page_align};
use crate::space::SPACE;
use crate::sys::{Errno, call};

const MSEAL: u64 = 462;

/// Seals a range of the program.
///
/// # Errors
/// As mseal(2): ENOMEM where part of the range is not mapped, EINVAL for bad arguments; nothing is sealed
/// then.
pub fn mseal(addr: u64, len: u64, flags: u64) -> Result<u64, Errno> {
    let rounded = page_align(len);
    let is_odd = flags != 0 || !addr.is_multiple_of(PAGE_SIZE);
    if is_odd || len != 0 && rounded == 0 || addr.checked_add(rounded).is_none() {
        return Err(Errno::EINVAL);
    }
    if rounded == 0 {
        return Ok(0);
    }
    let given = Given::new(addr, rounded);
    let mut areas = SPACE.areas.write();
    let Some(range) = given.pages.filter(|_| given.is_covered(&areas)) else { return Err(Errno::ENOMEM) };
    let kernels: Vec<Area> =
        areas.overlapping(range).filter(|area| matches!(area.holding, Holding::Kernel(_))).collect();
    for area in kernels {
        call!(MSEAL, area.range.start().start().0, area.range.bytes(), 0)?;
    }
    areas.update(range, |area| area.sealing = Sealing::Sealed);
    Ok(0)
}

/// Whether nothing in `range` is sealed, so that it may be unmapped or replaced.
///
/// # Errors
/// EPERM if something is.
pub fn may_go(areas: &AreaTree, range: PageRange) -> Result<(), Errno> {
    areas.overlapping(range).try_for_each(|area| may_change(&area))
}

/// Whether the area may be moved, or its protection changed.
///
/// # Errors
/// EPERM if it is sealed.
pub fn may_change(area: &Area) -> Result<(), Errno> {
    if area.sealing == Sealing::Sealed { Err(Errno::EPERM) } else { Ok(()) }
}

/// Whether the area's contents may be dropped: of a sealed one those that came from a file, and those that
/// the program can write over anyway.
///
/// # Errors
/// EPERM if they may not.
pub fn may_discard(area: &Area) -> Result<(), Errno> {
    let is_anonymous = area.holding == Holding::Private && area.backing == Backing::Zero;
    if is_anonymous && !area.protection.contains(Protection::WRITE) { may_change(area) } else { Ok(()) }
}
