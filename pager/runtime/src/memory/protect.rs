//! mprotect.

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Area, AreaTree, Growth, Holding, Key, Protection};
use pager_core::entry::Entry;

use super::range::{Given, page_align};
use super::{covered_from_start, discard_where, guard, is_ours, limits, make_private, seal};
use crate::engine;
use crate::keys;
use crate::markers;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::memory as kernel;

const PROT_GROWSDOWN: u64 = 0x0100_0000;
const PROT_GROWSUP: u64 = 0x0200_0000;
const PROT_MASK: u64 = 0xf;

/// Changes what the program may do with a range, and its protection key if one is given.
///
/// # Errors
/// As mprotect(2) and pkey_mprotect(2): ENOMEM where part of the range is not mapped, EINVAL for bad
/// arguments and keys that are not allocated, EPERM for sealed memory.
pub fn mprotect(addr: u64, len: u64, prot: u64, key: Option<i32>) -> Result<u64, Errno> {
    let grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    if grows == PROT_GROWSDOWN | PROT_GROWSUP || !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let len = page_align(len);
    if addr.wrapping_add(len) <= addr {
        return Err(Errno::ENOMEM);
    }
    if prot & !(PROT_MASK | PROT_GROWSDOWN | PROT_GROWSUP) != 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(key) = key {
        keys::check(key)?;
    }
    let given = Given::new(addr, len);
    let range = given.pages.filter(|range| !is_ours(*range)).ok_or(Errno::ENOMEM)?;
    let mut areas = SPACE.areas.write();
    let whole = given.is_covered(&areas);
    let range = match grows {
        PROT_GROWSDOWN => from_start_of_growing(&areas, range)?,
        // No memory grows upwards here.
        PROT_GROWSUP => {
            return Err(if areas.find(range.start()).is_some() { Errno::EINVAL } else { Errno::ENOMEM });
        }
        _ => range,
    };
    // What lies before a gap is changed before the call fails.
    if let Some(covered) = covered_from_start(&areas, range) {
        change(&mut areas, covered, prot & PROT_MASK, key)?;
    }
    if whole || grows != 0 && areas.covers(range) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// The range from where the first area in it starts, which must be one that grows down.
fn from_start_of_growing(areas: &AreaTree, range: PageRange) -> Result<PageRange, Errno> {
    let first = areas.overlapping(range).next().ok_or(Errno::ENOMEM)?;
    let area = areas.find(first.range.start()).ok_or(Errno::ENOMEM)?;
    if area.growth != Growth::Down {
        return Err(Errno::EINVAL);
    }
    PageRange::new(area.range.start(), range.end()).ok_or(Errno::ENOMEM)
}

/// Changes area by area: where one refuses, those before it are changed.
fn change(areas: &mut AreaTree, range: PageRange, prot: u64, key: Option<i32>) -> Result<(), Errno> {
    let protection = Protection::from_prot(prot);
    let pieces: alloc::vec::Vec<Area> = areas.overlapping(range).collect();
    for area in pieces {
        seal::may_change(&area)?;
        limits::may_become_data(areas, &area, protection)?;
        if protection.contains(Protection::WRITE) && area.holding == Holding::MapThrough {
            make_writable(areas, &area)?;
        }
        if area.holding == Holding::Private && area.protection.is_empty() {
            engine::mark_missing(area.range, protection);
        }
        let (addr, len) = (area.range.start().start().0, area.range.bytes());
        let next = match key {
            Some(key) => {
                kernel::pkey_mprotect(addr, len, prot, key)?;
                Key::Number(key as u8)
            }
            None => {
                kernel::mprotect(addr, len, prot)?;
                area.key.after_mprotect(prot)
            }
        };
        areas.update(area.range, |area| (area.protection, area.key) = (protection, next));
    }
    Ok(())
}

/// Has a page that is let through from a file be a private one, which a debugger may write to though the
/// program may not; other pages stay as they are.
///
/// # Errors
/// What the kernel says.
pub fn make_private_page(page: PageNum) -> Result<(), Errno> {
    let mut areas = SPACE.areas.write();
    let area = areas.find(page).filter(|area| area.holding == Holding::MapThrough).copied();
    match area.and_then(|area| area.clip(PageRange::single(page))) {
        Some(piece) => make_writable(&mut areas, &piece),
        None => Ok(()),
    }
}

/// Pages of the file itself become memory of ours before they can be written to. They are clean, so nothing
/// is lost.
fn make_writable(areas: &mut AreaTree, area: &Area) -> Result<(), Errno> {
    discard_where(area.range, |entry| entry != Entry::Guard);
    make_private(area)?;
    guard::laid_in(area.range).into_iter().for_each(markers::install);
    areas.update(area.range, |area| area.holding = Holding::Private);
    Ok(())
}
