//! mlock and its kin: who may lock how much, and what is locked, as Linux accounts for it.
//!
//! The pages stay the pager's to place, since it is what they would be locked against.

use core::sync::atomic::{AtomicBool, Ordering};

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Access, Area, AreaTree, Backing, Holding, KernelReason, Locking, Protection};

use super::advise::populate_in_file;
use super::limits;
use super::populate::populate;
use super::range::{Given, page_align};
use crate::images::IMAGES;
use crate::keys;
use crate::paging;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::file;
use crate::sys::memory as kernel;

const MLOCK_ONFAULT: u64 = 1;
const MCL_CURRENT: u64 = 1;
const MCL_FUTURE: u64 = 2;
const MCL_ONFAULT: u64 = 4;

/// Whether what is mapped from now on is locked (`MCL_FUTURE`). Written under the areas' lock.
static FUTURE: AtomicBool = AtomicBool::new(false);

/// Pages that are locked now.
fn locked(areas: &AreaTree) -> u64 {
    let locked = areas.iter().filter(|area| area.locking == Locking::Locked);
    locked.map(|area| area.range.count()).sum()
}

/// Whether the process may lock memory at all.
///
/// # Errors
/// EPERM where its limit is zero.
pub fn may_lock_any() -> Result<(), Errno> {
    if limits::locked_pages() == Some(0) { Err(Errno::EPERM) } else { Ok(()) }
}

/// Whether so many pages more may be locked.
///
/// # Errors
/// EAGAIN past the limit.
pub fn may_lock(areas: &AreaTree, more: u64) -> Result<(), Errno> {
    match limits::locked_pages() {
        Some(limit) if locked(areas) + more > limit => Err(Errno::EAGAIN),
        _ => Ok(()),
    }
}

/// Whether new memory is locked, if it may be.
///
/// # Errors
/// EPERM and EAGAIN as mmap(2) has them for `MAP_LOCKED`.
pub fn for_new(areas: &AreaTree, asked: Locking, pages: u64) -> Result<Locking, Errno> {
    if asked == Locking::Locked {
        may_lock_any()?;
    }
    let locking = if FUTURE.load(Ordering::Relaxed) { Locking::Locked } else { asked };
    if locking == Locking::Locked {
        may_lock(areas, pages)?;
    }
    Ok(locking)
}

/// mlock and mlock2.
///
/// # Errors
/// As mlock2(2).
pub fn lock(addr: u64, len: u64, flags: u64) -> Result<u64, Errno> {
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    may_lock_any()?;
    let (start, len) = whole_pages(addr, len);
    {
        let mut areas = SPACE.areas.write();
        if let Some(limit) = limits::locked_pages()
            && locked(&areas) + len / PAGE_SIZE > limit + locked_in(&areas, start, len)
        {
            return Err(Errno::ENOMEM);
        }
        mark(&mut areas, start, len, Locking::Locked)?;
    }
    if flags != MLOCK_ONFAULT {
        bring_in(start, len)?;
    }
    Ok(0)
}

/// munlock.
///
/// # Errors
/// As munlock(2).
pub fn unlock(addr: u64, len: u64) -> Result<u64, Errno> {
    let (start, len) = whole_pages(addr, len);
    mark(&mut SPACE.areas.write(), start, len, Locking::Pageable)?;
    Ok(0)
}

/// mlockall.
///
/// # Errors
/// As mlockall(2).
pub fn lock_all(flags: u64) -> Result<u64, Errno> {
    if flags == 0 || flags & !(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 || flags == MCL_ONFAULT {
        return Err(Errno::EINVAL);
    }
    may_lock_any()?;
    let mut areas = SPACE.areas.write();
    if flags & MCL_CURRENT != 0 && limits::locked_pages().is_some_and(|limit| areas.pages() > limit) {
        return Err(Errno::ENOMEM);
    }
    FUTURE.store(flags & MCL_FUTURE != 0, Ordering::Relaxed);
    if flags & MCL_CURRENT != 0 {
        mark_all(&mut areas, Locking::Locked);
    }
    Ok(0)
}

/// munlockall.
///
/// # Errors
/// None.
pub fn unlock_all() -> Result<u64, Errno> {
    forget(&mut SPACE.areas.write());
    Ok(0)
}

/// Unlocks everything, now and in future: what fork does to the child.
pub fn forget(areas: &mut AreaTree) {
    FUTURE.store(false, Ordering::Relaxed);
    mark_all(areas, Locking::Pageable);
}

/// The pages that hold the bytes, as Linux rounds them.
fn whole_pages(addr: u64, len: u64) -> (u64, u64) {
    (addr - addr % PAGE_SIZE, page_align(len.wrapping_add(addr % PAGE_SIZE)))
}

fn locked_in(areas: &AreaTree, start: u64, len: u64) -> u64 {
    let Some(pages) = Given::new(start, len).pages else { return 0 };
    areas
        .overlapping(pages)
        .filter(|area| area.locking == Locking::Locked)
        .map(|area| area.range.count())
        .sum()
}

/// Marks areas from `start` up to the first gap.
fn mark(areas: &mut AreaTree, start: u64, len: u64, locking: Locking) -> Result<(), Errno> {
    let end = start.wrapping_add(len);
    if end < start {
        return Err(Errno::EINVAL);
    }
    if end == start {
        return Ok(());
    }
    let given = Given::new(start, len);
    let whole = given.is_covered(areas);
    if let Some(pages) = given.pages {
        let end = super::covered_from_start(areas, pages);
        if let Some(covered) = end {
            set(areas, covered, locking);
        }
    }
    if whole { Ok(()) } else { Err(Errno::ENOMEM) }
}

fn mark_all(areas: &mut AreaTree, locking: Locking) {
    let all = PageRange::new(PageNum(0), PageNum(pager_core::addr::USER_END / PAGE_SIZE));
    if let Some(all) = all {
        set(areas, all, locking);
    }
}

fn set(areas: &mut AreaTree, pages: PageRange, locking: Locking) {
    // Huge and device memory is locked anyway, and never counted.
    areas.update(pages, |area| match area.holding {
        Holding::Kernel(KernelReason::Huge | KernelReason::Device) => {}
        _ => area.locking = locking,
    });
}

/// Has the kernel bring in memory of its own. Its advice does not take memory that may not be read, though
/// mlock does.
fn populate_by_kernel(piece: &Area) -> Result<(), Errno> {
    let (addr, len) = (piece.range.start().start().0, piece.range.bytes());
    match kernel::madvise(addr, len, kernel::MADV_POPULATE_READ) {
        Err(Errno::EINVAL) if piece.protection.contains(Protection::WRITE) => {
            kernel::madvise(addr, len, kernel::MADV_POPULATE_WRITE)
        }
        Err(Errno::EINVAL) if piece.range.iter().all(|page| paging::can_be_had(page, Access::Read)) => Ok(()),
        populated => populated,
    }
}

/// Brings in what can be, and says what Linux says where something cannot.
fn bring_in(start: u64, len: u64) -> Result<(), Errno> {
    let Some(pages) = Given::new(start, len).pages else { return Ok(()) };
    let pieces: alloc::vec::Vec<Area> = SPACE.areas.read().overlapping(pages).collect();
    for piece in pieces {
        let writes = piece.protection.contains(Protection::WRITE) && !piece.holding.is_known_to_kernel();
        if piece.protection.is_empty()
            || keys::deny(piece.key, if writes { Access::Write } else { Access::Read })
        {
            return Err(Errno::ENOMEM);
        }
        let (addr, len) = (piece.range.start().start().0, piece.range.bytes());
        match piece.backing {
            _ if matches!(piece.holding, Holding::Kernel(_)) => {
                populate_by_kernel(&piece).map_err(|_| Errno::ENOMEM)?;
            }
            Backing::Image { .. } if piece.holding == Holding::SharedThrough => {
                // Each page is asked for: the neighbours of one that is touched are let through, and not
                // brought in.
                let access =
                    if piece.protection.contains(Protection::READ) { Access::Read } else { Access::Write };
                if piece.range.iter().any(|page| populate_in_file(page, access) == Err(Errno::EFAULT)) {
                    return Err(Errno::ENOMEM);
                }
            }
            Backing::Image { image, offset, valid } => {
                populate(addr, len, super::prot_bits(piece.protection));
                let fd = IMAGES.lock().fd(image);
                let size = fd.and_then(|fd| file::stat_fd(fd).ok()).map_or(u64::MAX, |stat| stat.size);
                if page_align(size) < offset.saturating_add(page_align(valid)) {
                    return Err(Errno::ENOMEM);
                }
            }
            Backing::Zero => populate(addr, len, super::prot_bits(piece.protection)),
        }
    }
    Ok(())
}
