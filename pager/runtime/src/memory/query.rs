//! Calls that ask about memory or pin it: mincore, msync, mlock and its kin.

use pager_core::addr::PAGE_SIZE;
use pager_core::area::Holding;
use pager_core::table::EntryCell;

use super::aligned_range;
use crate::state::STATE;
use crate::sys::{Errno, call};
use crate::user;

const MSYNC: u64 = 26;
const MS_VALID: u64 = 0b111;

/// Tells which pages are resident, as the page table knows it.
///
/// # Errors
/// As mincore(2).
pub fn mincore(addr: u64, len: u64, vector: u64) -> Result<u64, Errno> {
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let range = aligned_range(addr, len).map_err(|_| Errno::ENOMEM)?;
    if !STATE.areas.read().covers(range) {
        return Err(Errno::ENOMEM);
    }
    for (i, page) in range.iter().enumerate() {
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
    Ok(0)
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
    let range = aligned_range(addr, len).map_err(|_| Errno::ENOMEM)?;
    let areas = STATE.areas.read();
    let covered = areas.covers(range);
    let shared: alloc::vec::Vec<_> =
        areas.overlapping(range).filter(|area| area.holding.is_known_to_kernel()).collect();
    drop(areas);
    for area in shared {
        call!(MSYNC, area.range.start().start().0, area.range.bytes(), flags)?;
    }
    if covered { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// mlock, mlock2, munlock: checked as Linux does; the pages stay pageable, since the pager is what they would be locked against.
///
/// # Errors
/// ENOMEM where part of the range is not mapped.
pub fn lock(addr: u64, len: u64) -> Result<u64, Errno> {
    let start = addr - addr % PAGE_SIZE;
    let Some(end) = addr.checked_add(len) else { return Err(Errno::EINVAL) };
    if end == start {
        return Ok(0);
    }
    let range = aligned_range(start, end - start).map_err(|_| Errno::ENOMEM)?;
    if STATE.areas.read().covers(range) { Ok(0) } else { Err(Errno::ENOMEM) }
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
