//! Memory calls: the program's mmap and its kin, done on our areas with Linux's results.
//!
//! One file per operation. All of them change the areas under the writers' lock, and wait there for busy pages: whoever owns a busy page needs
//! no lock of ours to finish.

pub mod advise;
pub mod advise_vector;
pub mod brk;
pub mod cut;
pub mod deny;
pub mod grow;
pub mod guard;
pub mod limits;
pub mod locks;
pub mod map;
pub mod protect;
pub mod query;
pub mod range;
mod refusal;
pub mod remap;
mod remap_shared;
pub mod seal;
pub mod shared;
pub mod unmap;

pub use range::aligned_range;

use alloc::vec::Vec;

use pager_core::addr::{PageNum, PageRange};
use pager_core::area::{Area, AreaTree, Backing, Holding, KernelReason, Key, Protection};
use pager_core::entry::Entry;
use pager_core::shared::count;
use pager_core::table::EntryCell;

use crate::arena;
use crate::busy::{settle, take, wait};
use crate::control;
use crate::engine;
use crate::keys;
use crate::markers;
use crate::record;
use crate::residency;
use crate::row;
use crate::space::{self, SPACE};
use crate::swap;
use crate::sys::Errno;
use crate::sys::memory::{self as kernel, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE};
use crate::sys::uffd;

/// As much of `range` as is mapped without a gap from its start.
pub fn covered_from_start(areas: &AreaTree, range: PageRange) -> Option<PageRange> {
    let mut end = range.start();
    for area in areas.overlapping(range) {
        if area.range.start() > end {
            break;
        }
        end = area.range.end();
    }
    PageRange::new(range.start(), end)
}

/// A protection as the kernel wants it.
pub fn prot_bits(protection: Protection) -> u64 {
    protection.bits().into()
}

/// Whether a range meets the runtime's own memory, which the program may not touch.
pub fn is_ours(range: PageRange) -> bool {
    arena::reserves(range.start().start().0, range.bytes())
}

/// Forgets whatever the pages of `range` hold: resident pages, slots. The kernel's side is the caller's to drop.
///
/// The writers' lock of the areas must be held.
pub fn discard(range: PageRange) {
    discard_where(range, |_| true);
}

/// Drops what the pages of an area of ours hold, as `MADV_DONTNEED` does. Guards stay.
///
/// The writers' lock of the areas must be held.
pub fn drop_contents(area: &Area) {
    discard_where(area.range, |entry| entry != Entry::Guard);
    if area.holding.lets_through() {
        markers::install(area.range);
    } else {
        // Markers of the kernel's, the program's among them, survive this.
        engine::empty(area.range, area.protection);
    }
}

/// Forgets what pages hold that `chosen` names; how many of them were in memory.
pub fn discard_where(range: PageRange, chosen: impl Fn(Entry) -> bool) -> u64 {
    let (mut dropped, mut changed) = (0, false);
    for (page, cell) in SPACE.table.existing_in(range) {
        let was = own(page, cell);
        if was == Entry::Empty {
            continue;
        }
        if !chosen(was) {
            settle(page, was);
            continue;
        }
        dropped += u64::from(was.is_resident());
        was.slot().into_iter().for_each(swap::release);
        settle(page, Entry::Empty);
        changed = true;
    }
    if changed {
        record::discarded(range);
    }
    residency::remove(dropped);
    dropped
}

/// Makes an entry busy, waiting for whoever has it; an empty one is left alone. What it was.
pub fn own(page: PageNum, cell: &EntryCell) -> Entry {
    loop {
        match cell.load() {
            Entry::Busy(_) => wait(cell),
            Entry::Empty => return Entry::Empty,
            seen if take(page, seen) => return seen,
            _ => {}
        }
    }
}

/// Makes every entry of a range busy that holds something: what they were. Each is to be settled.
///
/// The writers' lock of the areas must be held, so that no fill begins.
pub fn own_all(range: PageRange) -> Vec<(PageNum, Entry)> {
    let own = |(page, cell)| Some((page, own(page, cell))).filter(|(_, was)| *was != Entry::Empty);
    SPACE.table.existing_in(range).filter_map(own).collect()
}

/// Gives up what busy entries hold, as [`discard`] does.
pub fn forget(owned: Vec<(PageNum, Entry)>) {
    let dropped = owned.iter().filter(|(_, was)| was.is_resident()).count() as u64;
    for (page, was) in owned {
        was.slot().into_iter().for_each(swap::release);
        settle(page, Entry::Empty);
    }
    residency::remove(dropped);
}

/// Turns the mapped range of an area into private memory of ours: anonymous, registered, then accessible. Whatever was mapped there is replaced.
///
/// # Errors
/// What the kernel says; the range is then unmapped or not accessible.
pub fn make_private(area: &Area) -> Result<(), Errno> {
    let (range, protection) = (area.range, area.protection);
    let (addr, len) = (range.start().start().0, range.bytes());
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    let at_once = rights_at_once(protection);
    kernel::mmap(addr, len, at_once, flags, -1, 0)?;
    register_afresh(addr, len, at_once)?;
    engine::mark(range, protection);
    protect_afresh(area)?;
    advise::apply_fork_policy(range, area.fork)
}

/// The rights that new memory is mapped with: none, until its faults are the runtime's, unless they cannot be given later.
pub fn rights_at_once(protection: Protection) -> u64 {
    if deny::denies_later(protection) { prot_bits(protection - Protection::WRITE) } else { PROT_NONE }
}

/// Has faults in new memory, mapped with the rights `at_once`, be the runtime's. A page of zeros that a thread was quick enough to find there goes again:
/// nothing can have been written to it.
///
/// # Errors
/// What the kernel says.
pub fn register_afresh(addr: u64, len: u64, at_once: u64) -> Result<(), Errno> {
    uffd::register(space::uffd(), addr, len)?;
    if at_once == PROT_NONE { Ok(()) } else { kernel::madvise(addr, len, kernel::MADV_DONTNEED) }
}

/// Gives memory that was mapped without access the protection of its area, and its key. One that the program has freed meanwhile, though memory had
/// it, is lost: Linux promises nothing about such memory.
fn protect_afresh(area: &Area) -> Result<(), Errno> {
    let (addr, len, prot) = (area.range.start().start().0, area.range.bytes(), prot_bits(area.protection));
    match area.key {
        // Without a key the kernel would choose the one for memory that may only be executed.
        Key::Number(number) if keys::are_there() && (number != 0 || prot == kernel::PROT_EXEC) => {
            match kernel::pkey_mprotect(addr, len, prot, number.into()) {
                Err(Errno::EINVAL) => kernel::mprotect(addr, len, prot),
                done => done,
            }
        }
        _ if prot == PROT_NONE => Ok(()),
        _ => kernel::mprotect(addr, len, prot),
    }
}

/// Leaves a shared mapping that was let through to the kernel: the program has it changed in ways that only the kernel can.
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
    let shared: Vec<Area> = areas.overlapping(range).filter(|area| area.holding == Holding::SharedThrough).collect();
    shared.iter().try_for_each(|area| leave_to_kernel(areas, area))
}

/// Counts memory that is left to the kernel.
fn count_unmanaged(area: &Area) {
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
