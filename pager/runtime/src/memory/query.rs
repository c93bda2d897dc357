//! Calls that ask about memory, or have the kernel write it: mincore, msync.

use pager_core::addr::{PAGE_SIZE, PageRange, USER_END};
use pager_core::area::{Area, Holding, Locking};
use pager_core::table::EntryCell;

use super::range::{Given, page_align};
use super::{aligned_range, covered_from_start};
use crate::state::STATE;
use crate::sys::{Errno, call};
use crate::user;

const MSYNC: u64 = 26;
const MS_INVALIDATE: u64 = 2;
const MS_VALID: u64 = 0b111;

/// Tells which pages are resident, as the page table knows it.
///
/// # Errors
/// As mincore(2).
pub fn mincore(addr: u64, len: u64, vector: u64) -> Result<u64, Errno> {
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if addr > USER_END || len > USER_END - addr {
        return Err(Errno::ENOMEM);
    }
    if vector.checked_add(len.div_ceil(PAGE_SIZE)).is_none_or(|end| end > USER_END) {
        return Err(Errno::EFAULT);
    }
    let Some(range) = Given::new(addr, page_align(len)).pages else { return Ok(0) };
    // The kernel looks page by page: it tells of those before a hole.
    let covered = covered_from_start(&STATE.areas.read(), range);
    for (i, page) in covered.into_iter().flat_map(PageRange::iter).enumerate() {
        let ours = STATE.areas.read().find(page).is_none_or(|area| !area.holding.is_known_to_kernel());
        let resident = if ours {
            STATE.table.existing(page).map(EntryCell::load).is_some_and(pager_core::entry::Entry::is_resident)
        } else {
            let mut byte = 0u8;
            call!(27, page.start().0, PAGE_SIZE, &raw mut byte)?;
            byte & 1 != 0
        };
        user::write(vector + i as u64, &[u8::from(resident)])?;
    }
    if covered == Some(range) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// Writes shared mappings back; private memory has nothing to write to.
///
/// # Errors
/// As msync(2).
pub fn msync(addr: u64, len: u64, flags: u64) -> Result<u64, Errno> {
    if !addr.is_multiple_of(PAGE_SIZE) || flags & !MS_VALID != 0 || flags & 0b101 == 0b101 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let len = page_align(len);
    let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
    let given = Given::new(addr, end - addr);
    let Some(range) = given.pages else { return if len == 0 { Ok(0) } else { Err(Errno::ENOMEM) } };
    let areas = STATE.areas.read();
    let covered = given.is_covered(&areas);
    let is_locked = |area: Area| area.locking == Locking::Locked;
    if flags & MS_INVALIDATE != 0 && areas.overlapping(range).any(is_locked) {
        return Err(Errno::EBUSY);
    }
    let shared: alloc::vec::Vec<_> =
        areas.overlapping(range).filter(|area| area.holding.is_known_to_kernel()).collect();
    drop(areas);
    for area in shared {
        call!(MSYNC, area.range.start().start().0, area.range.bytes(), flags)?;
    }
    if covered { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// remap_file_pages and its like: only for memory that is the kernel's.
///
/// # Errors
/// EINVAL for memory of ours.
pub fn kernel_only(number: u64, args: [u64; 6]) -> Result<u64, Errno> {
    let range = aligned_range(args[0], args[1].max(1))?;
    let mut areas = STATE.areas.write();
    super::leave_shared_to_kernel(&mut areas, range)?;
    let ours =
        super::is_ours(range) || areas.overlapping(range).any(|area| !matches!(area.holding, Holding::Kernel(_)));
    if ours {
        return Err(Errno::EINVAL);
    }
    drop(areas);
    // SAFETY: the range is shared memory of the program.
    crate::sys::check(unsafe { crate::sys::syscall(number, args) })
}
