//! Calls that ask about memory, or have the kernel write it: mincore, msync.

use alloc::vec::Vec;

use pager_core::addr::{PAGE_SIZE, PageRange, USER_END};
use pager_core::area::{Area, Holding, Locking, PageSource};
use pager_core::entry::Entry;
use pager_core::table::EntryCell;

use crate::buffers::BUFFER_PAGES;
use crate::images::IMAGES;
use crate::memory::range::{Given, page_align};
use crate::memory::{aligned_range, covered_from_start, is_ours, leave_shared_to_kernel};
use crate::space::SPACE;
use crate::sys::{Errno, call};
use crate::user;
use crate::window::Window;

const MSYNC: u64 = 26;
const MINCORE: u64 = 27;
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
    let covered = covered_from_start(&SPACE.areas.read(), range);
    let areas: Vec<Area> =
        covered.map_or_else(Vec::new, |covered| SPACE.areas.read().overlapping(covered).collect());
    for area in areas {
        let at = vector + (area.range.start().0 - range.start().0);
        if area.holding.is_known_to_kernel() {
            by_kernel(area.range, at)?;
        } else {
            by_table(&area, at)?;
        }
    }
    if covered == Some(range) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// What the kernel says of its own memory, and of the pages of files that are mapped shared.
fn by_kernel(range: PageRange, at: u64) -> Result<(), Errno> {
    for (i, page) in range.iter().enumerate() {
        let mut byte = 0u8;
        call!(MINCORE, page.start().0, PAGE_SIZE, &raw mut byte)?;
        user::write(at + i as u64, &[byte & 1])?;
    }
    Ok(())
}

/// What the page table says of memory of ours. A page of a private mapping that was not touched yet is in
/// core where its file has it in memory.
fn by_table(area: &Area, at: u64) -> Result<(), Errno> {
    let mut start = area.range.start();
    while let Some(run) = PageRange::new(start, area.range.end()) {
        let run = PageRange::with_count(start, run.count().min(BUFFER_PAGES as u64)).unwrap_or(run);
        let mut told = [0u8; BUFFER_PAGES];
        let mut of_file = None;
        for (i, page) in run.iter().enumerate() {
            let entry = SPACE.table.existing(page).map_or(Entry::Empty, EntryCell::load);
            told[i] = u8::from(entry.is_resident());
            if entry == Entry::Empty && matches!(area.backing_at(page), PageSource::Image { .. }) {
                let of_file = of_file.get_or_insert_with(|| in_core_of_file(area, run));
                told[i] = u8::from(of_file[i]);
            }
        }
        user::write(at + (start.0 - area.range.start().0), &told[..run.count() as usize])?;
        start = run.end();
    }
    Ok(())
}

/// Which pages of the area's file the kernel has in memory, from where `run` begins in it.
fn in_core_of_file(area: &Area, run: PageRange) -> [bool; BUFFER_PAGES] {
    let PageSource::Image { image, offset, .. } = area.backing_at(run.start()) else {
        return [false; BUFFER_PAGES];
    };
    let fd = IMAGES.lock().fd(image);
    let window = fd.and_then(|fd| Window::open(fd, offset, run.count() as usize).ok());
    window.map_or([false; BUFFER_PAGES], |window| window.in_core())
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
    let areas = SPACE.areas.read();
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
    let mut areas = SPACE.areas.write();
    leave_shared_to_kernel(&mut areas, range)?;
    let ours =
        is_ours(range) || areas.overlapping(range).any(|area| !matches!(area.holding, Holding::Kernel(_)));
    if ours {
        return Err(Errno::EINVAL);
    }
    drop(areas);
    // SAFETY: the range is shared memory of the program.
    crate::sys::check(unsafe { crate::sys::syscall(number, args) })
}
