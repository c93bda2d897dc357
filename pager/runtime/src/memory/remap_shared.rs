//! mremap of shared mappings of files: the kernel's to do, which knows the file that belongs there. Markers
//! are laid anew where it has put them.

use alloc::vec::Vec;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Area, AreaTree, Backing, Holding, Locking};
use pager_core::entry::Entry;

use super::limits::{self, Charge};
use super::remap_request::{DONTUNMAP, Request, admit, cut_tail, lose};
use super::{aligned_range, discard, discard_where, guard};
use crate::busy::{settle, take};
use crate::markers;
use crate::sys::Errno;
use crate::sys::memory as kernel;

/// Resizes, moves or (with an old length of zero) doubles a mapping that starts in `area`; its address
/// afterwards.
///
/// Its pages are let go first, which loses nothing: they are the file's.
///
/// # Errors
/// As mremap(2). What was mapped then is as before, but for a tail that was to be cut off.
pub fn remap(
    areas: &mut AreaTree,
    request: &Request,
    area: &Area,
    target: Option<PageRange>,
) -> Result<u64, Errno> {
    let start = aligned_range(request.old, PAGE_SIZE)?.start();
    let kept_len = request.old_len.min(request.new_len);
    let kept = PageRange::with_count(start, kept_len / PAGE_SIZE);
    let is_shared = |kept| {
        areas.covers(kept) && areas.overlapping(kept).all(|area| area.holding == Holding::SharedThrough)
    };
    match kept {
        Some(kept) if !is_shared(kept) => {
            lose(areas, request, target);
            return Err(Errno::EFAULT);
        }
        Some(kept) => admit(areas, kept, request)?,
        None => limits::may_expand(areas, request.new_len / PAGE_SIZE, 0, Charge::Space)?,
    }
    cut_tail(areas, request)?;
    // Fills that are under way in the target come to their end first: they belong to what lies there now.
    if let Some(target) = target {
        discard_where(target, |_| false);
    }
    let guarded = kept.map_or_else(Vec::new, let_go);
    let result = kernel::mremap(request.old, kept_len, request.new_len, request.flags, request.new);
    let place = result.and_then(|addr| aligned_range(addr, request.new_len));
    if let Ok(place) = place {
        leave(areas, request, kept, target);
        markers::install(place);
        areas.insert(continued(area, start, place)).map_err(|_| Errno::ENOMEM)?;
    }
    if place.is_err() {
        lose(areas, request, target);
    }
    let begin = place.map_or(start, |place| place.start());
    guarded.iter().for_each(|page| guard_again(begin.plus(page.0 - start.0)));
    place.map(|place| place.start().start().0)
}

/// Drops the pages of a range; those that the program guards, whose guards are lost with them.
fn let_go(range: PageRange) -> Vec<PageNum> {
    let guarded = guard::laid_in(range);
    discard(range);
    markers::install(range);
    guarded.into_iter().flat_map(PageRange::iter).collect()
}

/// Notes what the kernel has unmapped. What stays behind of a move is empty and no longer locked.
fn leave(areas: &mut AreaTree, request: &Request, old: Option<PageRange>, target: Option<PageRange>) {
    if let Some(target) = target {
        discard(target);
        areas.remove(target);
    }
    match old {
        Some(old) if request.flags & DONTUNMAP == 0 => drop(areas.remove(old)),
        Some(old) => {
            markers::install(old);
            areas.update(old, |area| area.locking = Locking::Pageable);
        }
        None => {}
    }
}

/// The area that holds at `place` what `area` holds from `start` on.
fn continued(area: &Area, start: PageNum, place: PageRange) -> Area {
    let backing = match area.backing {
        Backing::Image { image, offset, .. } => {
            let before = (start.0 - area.range.start().0) * PAGE_SIZE;
            Backing::Image { image, offset: offset.wrapping_add(before), valid: place.bytes() }
        }
        Backing::Zero => Backing::Zero,
    };
    Area { range: place, backing, ..*area }
}

/// Guards a page for the program again, which has a marker already.
fn guard_again(page: PageNum) {
    if take(page, Entry::Empty) {
        settle(page, Entry::Guard);
    }
}
