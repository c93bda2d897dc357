//! Memory that is left to the kernel: shared mappings whose program has them changed in ways that only the
//! kernel can.

use alloc::vec::Vec;

use pager_core::addr::PageRange;
use pager_core::area::{Area, AreaTree, Backing, Holding, KernelReason};
use pager_core::shared::count;

use super::contents::discard;
use super::guard;
use crate::control;
use crate::markers;
use crate::row;
use crate::sys::Errno;

/// Leaves a shared mapping that was let through to the kernel: the program has it changed in ways that only
/// the kernel can.
///
/// # Errors
/// What the kernel says to lifting the markers.
pub fn leave_to_kernel(areas: &mut AreaTree, area: &Area) -> Result<(), Errno> {
    let guarded = guard::laid_in(area.range);
    discard(area.range);
    markers::remove(area.range)?;
    // The program's own are the kernel's from now on, like the area.
    guarded.into_iter().for_each(markers::install);
    areas.update(area.range, |area| {
        (area.holding, area.backing) = (Holding::Kernel(KernelReason::Shared), Backing::Zero);
    });
    areas.overlapping(area.range).for_each(|area| count_unmanaged(&area));
    Ok(())
}

/// The same for whatever of `range` is let through and shared.
///
/// # Errors
/// As [`leave_to_kernel`].
pub fn leave_shared_to_kernel(areas: &mut AreaTree, range: PageRange) -> Result<(), Errno> {
    let shared: Vec<Area> =
        areas.overlapping(range).filter(|area| area.holding == Holding::SharedThrough).collect();
    shared.iter().try_for_each(|area| leave_to_kernel(areas, area))
}

/// Counts memory that is left to the kernel.
pub fn count_unmanaged(area: &Area) {
    let counts = control::counts();
    row::count_unmanaged(area.holding, area.range.bytes());
    match area.holding {
        Holding::Kernel(KernelReason::Shared) => {
            count(&counts.unmanaged_shared_bytes, area.range.bytes());
        }
        Holding::Kernel(_) => {
            count(&counts.unmanaged_other_bytes, area.range.bytes());
        }
        Holding::Private | Holding::MapThrough | Holding::SharedThrough => {}
    }
}
