//! mremap.
//!
//! The kernel drops the registration with userfaultfd, and with it the write protection, of what it moves:
//! everything is registered again and every moved page counts as dirty.

use alloc::vec::Vec;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange, USER_END};
use pager_core::area::{Area, AreaTree, Backing, Holding, KernelReason, Locking};
use pager_core::entry::{Dirt, Entry};
use pager_core::replacement::Install as Arrival;

use super::map::MOST_GUARDED;
use super::range::page_align;
use super::refusal;
use super::remap_request::{DONTUNMAP, FIXED, MAYMOVE, Request, admit, cut_tail, lose};
use super::remap_shared;
use super::{aligned_range, discard, forget, is_ours, leave_shared_to_kernel, make_private, own_all, seal};
use crate::busy::settle;
use crate::engine;
use crate::markers;
use crate::record;
use crate::space::{self, SPACE};
use crate::swap;
use crate::sys::Errno;
use crate::sys::memory::{
    self as kernel, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE,
};
use crate::sys::uffd;

/// Grows, shrinks or moves a mapping; its address afterwards.
///
/// # Errors
/// As mremap(2), looked for in Linux's order. Only shared mappings can be doubled (old length zero).
pub fn mremap(old: u64, old_len: u64, new_len: u64, flags: u64, new: u64) -> Result<u64, Errno> {
    let request = Request { old, old_len: page_align(old_len), new_len: page_align(new_len), flags, new };
    let place = placed(&request)?;
    let target = place.filter(|_| flags & FIXED != 0);
    if target.is_some_and(is_ours) {
        return Err(Errno::EFAULT);
    }
    let first = aligned_range(old, PAGE_SIZE).map_err(|_| Errno::EFAULT)?;
    let mut areas = SPACE.areas.write();
    let area = *areas.find(first.start()).ok_or(Errno::EFAULT)?;
    seal::may_change(&area)?;
    if shrinks_in_place(&request) && area.holding != Holding::Kernel(KernelReason::Huge) {
        cut_tail(&mut areas, &request)?;
        return Ok(request.old);
    }
    let range = aligned_range(old, request.old_len.max(PAGE_SIZE)).map_err(|_| Errno::EFAULT)?;
    if is_ours(range) {
        return Err(Errno::EFAULT);
    }
    target.map_or(Ok(()), |target| seal::may_go(&areas, target))?;
    if request.new_len > MOST_GUARDED {
        leave_shared_to_kernel(&mut areas, range)?;
    }
    let area = *areas.find(first.start()).ok_or(Errno::EFAULT)?;
    let kernels = matches!(area.holding, Holding::Kernel(_));
    if request.old_len == 0 && !kernels && area.holding != Holding::SharedThrough {
        lose(&mut areas, &request, target);
        return Err(Errno::EINVAL);
    }
    match target {
        // A plain move takes whatever lies in the range, holes too, on kernels that look first.
        Some(to) if request.old_len == request.new_len && !kernels && !refusal::unmaps_first() => {
            seal::may_go(&areas, range)?;
            relocate(&mut areas, &request, range, Some(to))
        }
        _ if kernels => by_kernel(&mut areas, &request, &area, target),
        _ if area.holding == Holding::SharedThrough => {
            remap_shared::remap(&mut areas, &request, &area, target)
        }
        _ => resize(&mut areas, &request, range, target),
    }
}

/// Where the request says that the memory is to go, if it does, and if the arguments can be meant.
fn placed(request: &Request) -> Result<Option<PageRange>, Errno> {
    let Request { old, old_len, new_len, flags, new } = *request;
    if flags & !(MAYMOVE | FIXED | DONTUNMAP) != 0 || !old.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if new_len == 0 || new_len > USER_END {
        return Err(Errno::EINVAL);
    }
    if flags & (FIXED | DONTUNMAP) == 0 {
        return Ok(None);
    }
    let place = aligned_range(new, new_len)?;
    if flags & MAYMOVE == 0 || flags & DONTUNMAP != 0 && old_len != new_len {
        return Err(Errno::EINVAL);
    }
    let overlaps = old < new + new_len && new < old.saturating_add(old_len);
    if overlaps { Err(Errno::EINVAL) } else { Ok(Some(place)) }
}

/// Whether nothing but the end of the range changes: all that Linux asks for then is that the range's first
/// page is mapped.
fn shrinks_in_place(request: &Request) -> bool {
    request.flags & (FIXED | DONTUNMAP) == 0 && request.old_len != 0 && request.new_len <= request.old_len
}

fn resize(
    areas: &mut AreaTree,
    request: &Request,
    range: PageRange,
    target: Option<PageRange>,
) -> Result<u64, Errno> {
    let keep = PageRange::with_count(range.start(), request.new_len / PAGE_SIZE).ok_or(Errno::EINVAL)?;
    let kept = range.intersect(keep).unwrap_or(range);
    if let Err(errno) = may_resize(areas, request, kept) {
        lose(areas, request, target);
        return Err(errno);
    }
    cut_tail(areas, request)?;
    if target.is_none() && request.flags & DONTUNMAP == 0 {
        if grow_in_place(areas, kept, keep).is_ok() {
            return Ok(request.old);
        }
        if request.flags & MAYMOVE == 0 {
            return Err(Errno::ENOMEM);
        }
    }
    relocate(areas, request, kept, target)
}

fn may_resize(areas: &AreaTree, request: &Request, kept: PageRange) -> Result<(), Errno> {
    let is_shared = |area: Area| area.holding == Holding::SharedThrough;
    if !areas.covers(kept)
        || are_several(areas, kept)
        || request.new_len > request.old_len && areas.overlapping(kept).any(is_shared)
    {
        return Err(Errno::EFAULT);
    }
    admit(areas, kept, request)
}

/// Whether the kernel would hold a range as several mappings, of which only a plain move takes more than one
/// (`check_prep_vma`, `remap_move`).
fn are_several(areas: &AreaTree, range: PageRange) -> bool {
    let pieces: Vec<Area> = areas.overlapping(range).collect();
    pieces.windows(2).any(|pair| !is_one_mapping(&pair[0], &pair[1]))
}

/// Whether two neighbours are one mapping to the kernel, and two areas only because their pages are held in
/// different ways.
fn is_one_mapping(one: &Area, next: &Area) -> bool {
    let kind = |area: &Area| (area.protection, area.key, area.locking, area.growth, area.fork, area.sealing);
    let continues = match (one.backing, next.backing) {
        (Backing::Zero, Backing::Zero) => true,
        (Backing::Image { image, offset, .. }, Backing::Image { image: next, offset: behind, .. }) => {
            image == next && offset.wrapping_add(one.range.bytes()) == behind
        }
        _ => false,
    };
    let is_shared = |area: &Area| area.holding.is_known_to_kernel();
    kind(one) == kind(next) && continues && is_shared(one) == is_shared(next)
}

/// The area that continues the one at `range`'s end up to `end`.
fn continuation(areas: &AreaTree, range: PageRange, end: PageNum) -> Option<Area> {
    let last = *areas.find(PageNum(range.end().0 - 1))?;
    let whole = Area { range: PageRange::new(last.range.start(), end)?, ..last };
    let whole = match whole.backing {
        pager_core::area::Backing::Image { image, offset, valid } if valid >= last.range.bytes() => Area {
            backing: pager_core::area::Backing::Image { image, offset, valid: whole.range.bytes() },
            ..whole
        },
        _ => whole,
    };
    whole.clip(PageRange::new(range.end(), end)?)
}

fn grow_in_place(areas: &mut AreaTree, range: PageRange, wanted: PageRange) -> Result<(), Errno> {
    let more = continuation(areas, range, wanted.end()).ok_or(Errno::ENOMEM)?;
    let more = Area { holding: Holding::Private, ..more };
    if is_ours(more.range) {
        return Err(Errno::ENOMEM);
    }
    let (addr, len) = (more.range.start().start().0, more.range.bytes());
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    kernel::mmap(addr, len, PROT_NONE, flags, -1, 0)?;
    make_private(&more)?;
    areas.insert(more).map_err(|_| Errno::ENOMEM)
}

fn relocate(
    areas: &mut AreaTree,
    request: &Request,
    from: PageRange,
    target: Option<PageRange>,
) -> Result<u64, Errno> {
    let pieces: Vec<Area> = areas.overlapping(from).collect();
    let more = continuation(areas, from, from.start().plus(request.new_len / PAGE_SIZE));
    let to = match target {
        Some(to) => {
            // Where nothing moves to, the target stays as it is.
            for piece in pieces.iter().chain(more.iter()) {
                let start = to.start().plus(piece.range.start().0 - from.start().0);
                let covered = PageRange::with_count(start, piece.range.count()).ok_or(Errno::EINVAL)?;
                discard(covered);
                areas.remove(covered);
            }
            to
        }
        None => {
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
            // Where the old place stays mapped, the new one may be wished for.
            let wish = if request.flags & DONTUNMAP != 0 { request.new } else { 0 };
            aligned_range(kernel::mmap(wish, request.new_len, PROT_NONE, flags, -1, 0)?, request.new_len)?
        }
    };
    for piece in &pieces {
        let to = to.start().plus(piece.range.start().0 - from.start().0);
        move_piece(piece, MAYMOVE | FIXED | request.flags & DONTUNMAP, to)?;
    }
    if request.flags & DONTUNMAP == 0 {
        areas.remove(from);
    } else {
        // What stays behind is no longer locked.
        areas.update(from, |area| area.locking = Locking::Pageable);
        for piece in &pieces {
            match piece.holding {
                Holding::MapThrough | Holding::SharedThrough => markers::install(piece.range),
                Holding::Private => engine::mark(piece.range, piece.protection),
                Holding::Kernel(_) => {}
            }
        }
    }
    for piece in pieces.iter().chain(more.iter()) {
        let start = to.start().plus(piece.range.start().0 - from.start().0);
        let range = PageRange::with_count(start, piece.range.count()).ok_or(Errno::EINVAL)?;
        let moved = Area { range, ..*piece };
        if more.is_some_and(|more| more.range == piece.range) {
            let moved = Area { holding: Holding::Private, ..moved };
            make_private(&moved)?;
            areas.insert(moved).map_err(|_| Errno::ENOMEM)?;
        } else {
            areas.insert(moved).map_err(|_| Errno::ENOMEM)?;
        }
    }
    for piece in pieces.iter().filter(|piece| piece.holding == Holding::Private) {
        let start = to.start().plus(piece.range.start().0 - from.start().0);
        register_neighbours(areas, PageRange::with_count(start, piece.range.count()).ok_or(Errno::EINVAL)?)?;
    }
    Ok(to.start().start().0)
}

/// Has the kernel move an area's mappings to `to`, and moves the entries after them.
///
/// The entries are busy meanwhile: an eviction that took one at the old place would find nothing there.
fn move_piece(piece: &Area, flags: u64, to: PageNum) -> Result<(), Errno> {
    let (from, len, place) = (piece.range.start(), piece.range.bytes(), to.start().0);
    let taken = own_all(piece.range);
    if let Err(errno) = move_mappings(from.start().0, len, flags, place) {
        taken.into_iter().for_each(|(page, was)| settle(page, was));
        return Err(errno);
    }
    let registered = match piece.holding {
        Holding::Private => uffd::register(space::uffd(), place, len),
        _ => Ok(()),
    };
    move_entries(taken, from, to);
    record::moved(piece.range, to);
    registered
}

/// Registers what adjoins a range that was moved to: where the kernel joined it to a neighbour, it dropped
/// the neighbour's registration too.
fn register_neighbours(areas: &AreaTree, moved: PageRange) -> Result<(), Errno> {
    let private = |page: PageNum| areas.find(page).filter(|area| area.holding == Holding::Private);
    let (mut start, mut end) = (moved.start(), moved.end());
    while let Some(area) = private(PageNum(start.0.saturating_sub(1))) {
        start = area.range.start();
    }
    while let Some(area) = private(end) {
        end = area.range.end();
    }
    for side in [PageRange::new(start, moved.start()), PageRange::new(moved.end(), end)].into_iter().flatten()
    {
        uffd::register(space::uffd(), side.start().start().0, side.bytes())?;
    }
    Ok(())
}

/// Has the kernel move a range that is one area of ours, and perhaps several mappings of the kernel's:
/// registered ones it moves one at a time.
fn move_mappings(from: u64, len: u64, flags: u64, to: u64) -> Result<(), Errno> {
    match kernel::mremap(from, len, len, flags, to) {
        Err(Errno::EFAULT) if len > PAGE_SIZE => {
            let half = (len / 2).next_multiple_of(PAGE_SIZE);
            move_mappings(from, half, flags, to)?;
            move_mappings(from + half, len - half, flags, to + half)
        }
        moved => moved.map(drop),
    }
}

/// Moves entries that are busy, from an area that began at `from`, to where their pages are now.
fn move_entries(taken: Vec<(PageNum, Entry)>, from: PageNum, to: PageNum) {
    let mut arrived = Vec::new();
    for (page, was) in taken {
        let there = to.plus(page.0 - from.0);
        let next = match was {
            Entry::Resident(_, slot) => {
                slot.into_iter().for_each(swap::release);
                Entry::Resident(Dirt::Dirty, None)
            }
            other => other,
        };
        SPACE.table.entry(there).overwrite(next);
        settle(page, Entry::Empty);
        if next.is_resident() {
            arrived.push(there);
        }
    }
    let mut queue = SPACE.queue.lock();
    arrived.into_iter().for_each(|page| queue.installed(page, Arrival::Refault, &SPACE.table));
}

fn by_kernel(
    areas: &mut AreaTree,
    request: &Request,
    area: &Area,
    target: Option<PageRange>,
) -> Result<u64, Errno> {
    // Nobody may be busy with what lies at the target while it goes; where a kernel that looks first refuses,
    // that stays.
    let replaced = target.map_or_else(Vec::new, own_all);
    let moved = kernel::mremap(request.old, request.old_len, request.new_len, request.flags, request.new);
    let addr = match moved {
        Ok(addr) => addr,
        Err(errno) if target.is_some() && refusal::unmaps_first() => {
            forget(replaced);
            lose(areas, request, target);
            return Err(errno);
        }
        Err(errno) => {
            replaced.into_iter().for_each(|(page, was)| settle(page, was));
            return Err(errno);
        }
    };
    forget(replaced);
    if let Some(target) = target {
        areas.remove(target);
    }
    if request.old_len != 0
        && request.flags & DONTUNMAP == 0
        && let Ok(old) = aligned_range(request.old, request.old_len)
    {
        areas.remove(old);
    }
    let range = aligned_range(addr, request.new_len)?;
    areas.insert(Area { range, ..*area }).map_err(|_| Errno::ENOMEM)?;
    Ok(addr)
}
