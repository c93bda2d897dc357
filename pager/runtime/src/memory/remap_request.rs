//! What mremap is asked for, and what of it holds for private and shared memory alike.

use pager_core::addr::{PAGE_SIZE, PageRange, USER_END, VirtAddr};
use pager_core::area::{AreaTree, Locking};

use super::discard;
use super::unmap::outside;
use super::{limits, locks, refusal, seal};
use crate::sys::Errno;
use crate::sys::memory as kernel;

pub const MAYMOVE: u64 = 1;

pub const FIXED: u64 = 2;

pub const DONTUNMAP: u64 = 4;

/// The arguments of mremap, lengths rounded up.
#[derive(Clone, Copy)]
pub struct Request {
    pub old: u64,
    pub old_len: u64,
    pub new_len: u64,
    pub flags: u64,
    pub new: u64,
}

/// Unmaps what of the old range lies behind the new length.
///
/// # Errors
/// What munmap says.
pub fn cut_tail(areas: &mut AreaTree, request: &Request) -> Result<(), Errno> {
    let keep = request.old + request.new_len;
    let end = request.old.saturating_add(request.old_len).min(USER_END);
    let Some(tail) = PageRange::new(VirtAddr(keep).page(), VirtAddr(end).page()) else { return Ok(()) };
    outside(tail).try_for_each(|part| seal::may_go(areas, part))?;
    for part in outside(tail) {
        discard(part);
        areas.remove(part);
        kernel::munmap(part.start().start().0, part.bytes())?;
    }
    Ok(())
}

/// Whether the program may have what comes on top.
///
/// # Errors
/// EAGAIN past the limit of what may be locked, ENOMEM past another.
pub fn admit(areas: &AreaTree, kept: PageRange, request: &Request) -> Result<(), Errno> {
    let more = match request.flags & DONTUNMAP {
        0 => (request.new_len / PAGE_SIZE).saturating_sub(kept.count()),
        _ => kept.count(),
    };
    let Some(area) = areas.find(kept.start()).filter(|_| more > 0) else { return Ok(()) };
    if area.locking == Locking::Locked && request.flags & DONTUNMAP == 0 {
        locks::may_lock(areas, more)?;
    }
    limits::may_expand(areas, more, 0, limits::Charge::of(area.protection, area.holding, area.role))
}

/// Unmaps after a refusal what this kernel unmaps before one; what it has unmapped itself is forgotten.
///
/// The writers' lock of the areas must be held.
pub fn lose(areas: &mut AreaTree, request: &Request, target: Option<PageRange>) {
    let Some(target) = target.filter(|_| refusal::unmaps_first()) else { return };
    discard(target);
    areas.remove(target);
    // Neither can fail but for want of mappings, and the call has its error already.
    let _unmapped = kernel::munmap(target.start().start().0, target.bytes());
    if request.old_len > request.new_len {
        let _cut = cut_tail(areas, request);
    }
}
