//! madvise.

use alloc::vec::Vec;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Access, Area, AreaTree, Backing, Holding, Locking, Protection};

use super::advise_fork::{DONTFORK, WIPEONFORK};
use super::range::{Given, page_align};
use super::{drop_contents, guard, seal};
use crate::host;
use crate::keys;
use crate::paging;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::memory as kernel;
use pager_engine::work::Outcome;

const DONTNEED: u64 = 4;
const FREE: u64 = 8;
const REMOVE: u64 = 9;
const DOFORK: u64 = 11;
const HWPOISON: u64 = 100;
const SOFT_OFFLINE: u64 = 101;
const COLD: u64 = 20;
const PAGEOUT: u64 = 21;
const GUARD_INSTALL: u64 = 102;
const GUARD_REMOVE: u64 = 103;
const KEEPONFORK: u64 = 19;
const DONTNEED_LOCKED: u64 = 24;
/// How often a page is brought in that is gone again before the kernel has looked at it.
const MOST_TRIES: u32 = 16;

/// Takes the program's advice on a range.
///
/// Huge pages and merging are accepted and not done: pages here are 4 KiB each, owned by one program.
/// `MADV_FREE` drops at once, which its contract allows.
///
/// # Errors
/// As madvise(2).
pub fn madvise(addr: u64, len: u64, advice: u64) -> Result<u64, Errno> {
    if !is_known(advice) || !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let rounded = page_align(len);
    if len != 0 && rounded == 0 || addr.checked_add(rounded).is_none() {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let given = Given::new(addr, rounded);
    let Some(range) = given.pages else { return Err(Errno::ENOMEM) };
    match advice {
        kernel::MADV_POPULATE_READ => return populate(range, given, Access::Read),
        kernel::MADV_POPULATE_WRITE => return populate(range, given, Access::Write),
        HWPOISON | SOFT_OFFLINE => return Err(Errno::EINVAL),
        _ => {}
    }
    let mut areas = SPACE.areas.write();
    let pieces: Vec<Area> = areas.overlapping(range).collect();
    for area in &pieces {
        advise_area(&mut areas, area, advice)?;
    }
    if given.is_covered(&areas) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// Whether this kernel takes the advice at all, which it looks at first: kernels and their configurations
/// differ in it.
fn is_known(advice: u64) -> bool {
    // What every kernel has is not asked for.
    matches!(advice, 0..=DONTNEED | FREE..=DOFORK) || kernel::madvise(0, 0, advice).is_ok()
}

fn advise_area(areas: &mut AreaTree, area: &Area, advice: u64) -> Result<(), Errno> {
    if matches!(advice, DONTNEED | DONTNEED_LOCKED | FREE | REMOVE | DONTFORK | WIPEONFORK | GUARD_INSTALL) {
        seal::may_discard(area)?;
    }
    let moves = matches!(advice, DONTNEED | FREE | COLD | PAGEOUT | REMOVE | GUARD_INSTALL);
    if moves && area.locking == Locking::Locked {
        return Err(Errno::EINVAL);
    }
    let (addr, len) = (area.range.start().start().0, area.range.bytes());
    if matches!(area.holding, Holding::Kernel(_)) {
        return kernel::madvise(addr, len, advice);
    }
    let fork = |areas: &mut AreaTree, policy| {
        kernel::madvise(addr, len, advice)?;
        areas.update(area.range, |area| area.fork = policy);
        Ok(())
    };
    let of_file = matches!(area.backing, Backing::Image { .. });
    match advice {
        FREE | WIPEONFORK if of_file => Err(Errno::EINVAL),
        // It goes through the mapping to the file, where that was opened for writing.
        REMOVE if area.holding == Holding::SharedThrough => kernel::madvise(addr, len, advice),
        REMOVE if of_file => Err(Errno::EACCES),
        DONTNEED | DONTNEED_LOCKED | FREE => {
            drop_contents(area);
            Ok(())
        }
        GUARD_INSTALL => {
            guard::install(area);
            Ok(())
        }
        GUARD_REMOVE => {
            guard::remove(area);
            Ok(())
        }
        DONTFORK => fork(areas, area.fork.with_skip()),
        WIPEONFORK => fork(areas, area.fork.with_wipe()),
        DOFORK => fork(areas, area.fork.without_skip()),
        KEEPONFORK => fork(areas, area.fork.without_wipe()),
        REMOVE => Err(Errno::EINVAL),
        // Read-ahead, huge pages, merging, dumping, reclaim: hints about pages that are ours to place.
        0..=3 | 12..=17 | 20 | 21 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// Brings in what lies in `range`, up to the first page that cannot be had.
fn populate(range: PageRange, given: Given, access: Access) -> Result<u64, Errno> {
    let mut page = range.start();
    while page < range.end() {
        let area = SPACE.areas.read().find(page).copied().ok_or(Errno::ENOMEM)?;
        let piece = PageRange::new(page, area.range.end().min(range.end())).ok_or(Errno::ENOMEM)?;
        populate_area(&area, piece, access)?;
        page = piece.end();
    }
    if given.is_covered(&SPACE.areas.read()) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// The same for a piece of one area. Memory that is only for writing may not be populated for reading, though
/// it can be read.
fn populate_area(area: &Area, piece: PageRange, access: Access) -> Result<(), Errno> {
    if matches!(area.holding, Holding::Kernel(_)) {
        let advice = host::populate_for(access);
        return kernel::madvise(piece.start().start().0, piece.bytes(), advice);
    }
    if access == Access::Read && !area.protection.contains(Protection::READ) || keys::deny(area.key, access) {
        return Err(Errno::EINVAL);
    }
    for page in piece.iter() {
        match paging::make_resident(page.start(), access) {
            Outcome::Resolved | Outcome::Spurious | Outcome::NotOurs => {}
            Outcome::NoArea => return Err(Errno::ENOMEM),
            Outcome::Guarded => return Err(Errno::EFAULT),
            Outcome::Denied => return Err(Errno::EINVAL),
            Outcome::Unreadable => return Err(Errno::EFAULT),
        }
        if area.holding == Holding::SharedThrough {
            populate_in_file(page, access)?;
        }
    }
    Ok(())
}

/// Has the kernel find a file's page for its shared mapping, and a place for it on the disk where it is to be
/// written to.
///
/// # Errors
/// As madvise(2) for `MADV_POPULATE_READ`: EFAULT past the end of the file.
pub fn populate_in_file(page: PageNum, access: Access) -> Result<(), Errno> {
    let advice = host::populate_for(access);
    for _ in 0..MOST_TRIES {
        match kernel::madvise(page.start().0, PAGE_SIZE, advice) {
            // It has none, or its marker lies there.
            Err(Errno::EFAULT) if paging::make_resident(page.start(), access) == Outcome::Resolved => {}
            done => return done,
        }
    }
    Err(Errno::EFAULT)
}
