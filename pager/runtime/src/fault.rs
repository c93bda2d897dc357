//! Resolving a fault: find the area, look at the entry, act, let the instruction run again.
//!
//! Decided under the readers' lock of the areas, where the pages concerned are made busy; done without it. A
//! busy entry keeps everybody else out: memory calls wait for it, so an area stays as long as a fill in it is
//! under way.

use core::sync::atomic::Ordering;

use pager_core::addr::{PageNum, PageRange, VirtAddr};
use pager_core::area::{Access, Area, Holding, Protection};
use pager_core::entry::{Dirt, Entry, SwapSlot};
use pager_core::fault::{Plan, around, classify};
use pager_core::remote::Right;
use pager_core::shared::count;
use pager_core::table::EntryCell;

use crate::buffers::BUFFER_PAGES;
use crate::busy::{settle, take, take_at_work, wait};
use crate::control;
use crate::fill;
use crate::readahead::WINDOW;
use crate::residency;
use crate::space::SPACE;
use crate::thread::{self, Block};
use crate::work::{Fill, Outcome};

enum Step {
    Done(Outcome),
    Wait,
    Fill(Fill),
}

/// Makes the page of `addr` present for `access`, for the runtime's own sake. No area grows by it.
///
/// No lock may be held. Afterwards, unless the page is pinned, it may be gone again at any time.
pub fn make_resident(addr: VirtAddr, access: Access) -> Outcome {
    make_resident_by(addr, access, Right::Program)
}

/// The same by the right of whoever wants the page.
///
/// No lock may be held. A page of a file that is let through has to be a private one before a debugger writes
/// to it: see [`crate::memory::protect::make_private_page`].
pub fn make_resident_by(addr: VirtAddr, access: Access, right: Right) -> Outcome {
    match bring_in(addr, access, right, || ()) {
        Outcome::Spurious => Outcome::Resolved,
        outcome => outcome,
    }
}

/// The same for a fault that the processor reported; tells a fault on a page that was there.
pub fn on_fault(addr: VirtAddr, access: Access) -> Outcome {
    let count_waited = || {
        count(&control::counts().faults_waited, 1);
    };
    match bring_in(addr, access, Right::Program, count_waited) {
        Outcome::Spurious => still_there(addr.page(), access),
        Outcome::Denied if access == Access::Execute => denied_fetch(addr),
        outcome => outcome,
    }
}

/// Acts until the page is there, or cannot be. `Spurious` is one that nothing had to be done or waited for.
/// `at_first_wait` is called before the first wait for another thread.
#[inline(always)]
fn bring_in(addr: VirtAddr, access: Access, right: Right, at_first_wait: impl Fn()) -> Outcome {
    if addr.0 >= pager_core::addr::USER_END {
        return Outcome::NoArea;
    }
    let (page, mut if_there) = (addr.page(), Outcome::Spurious);
    loop {
        match decide(page, access, right) {
            Step::Done(Outcome::Spurious) => return if_there,
            Step::Done(outcome) => return outcome,
            Step::Wait => {
                if if_there == Outcome::Spurious {
                    at_first_wait();
                }
                if_there = Outcome::Resolved;
                wait(SPACE.table.entry(page));
            }
            Step::Fill(work) => return fill::fill(&work),
        }
    }
}

/// A page of the file itself goes without our doing when the file ends before it, and one in a hole may find
/// no place on the disk when it is written to: then it cannot be had.
fn still_there(page: PageNum, access: Access) -> Outcome {
    let seen = SPACE.table.existing(page).map_or(Entry::Empty, EntryCell::load);
    if !matches!(seen, Entry::Mapped(_)) || !take_at_work(page, seen) {
        return Outcome::Spurious;
    }
    let there = fill::can_be_had(page, access);
    settle(page, seen);
    if there { Outcome::Spurious } else { Outcome::Unreadable }
}

/// To Linux the fetch of an instruction is a read until the page is there: contents that cannot be had come
/// before the missing permission, unless the area permits nothing at all.
fn denied_fetch(addr: VirtAddr) -> Outcome {
    let readable = match make_resident(addr, Access::Read) {
        Outcome::Resolved => still_there(addr.page(), Access::Read),
        outcome => outcome,
    };
    if readable == Outcome::Unreadable { Outcome::Unreadable } else { Outcome::Denied }
}

/// What an area is to a debugger: all of it may be read, and what is private written to.
fn for_debugger(area: Area) -> Area {
    let more = if area.holding == Holding::Private { Protection::WRITE } else { Protection::READ };
    Area { protection: area.protection | Protection::READ | more, ..area }
}

fn decide(page: PageNum, access: Access, right: Right) -> Step {
    let areas = SPACE.areas.read();
    let found = areas.find(page).copied();
    let found = if right == Right::Debugger { found.map(for_debugger) } else { found };
    let entry = SPACE.table.existing(page).map_or(Entry::Empty, EntryCell::load);
    let plan = classify(found.as_ref(), page, entry, access);
    match plan {
        Plan::NoArea => return Step::Done(Outcome::NoArea),
        Plan::Guarded => return Step::Done(Outcome::Guarded),
        Plan::Denied => return Step::Done(Outcome::Denied),
        Plan::KernelOwned => return Step::Done(Outcome::NotOurs),
        Plan::AlreadyThere => return Step::Done(Outcome::Spurious),
        Plan::Wait => return Step::Wait,
        Plan::Unprotect | Plan::FillZero | Plan::FillImage { .. } | Plan::MapThrough | Plan::SwapIn(_) => {}
    }
    let Some(area) = found else { return Step::Done(Outcome::NoArea) };
    if !take(page, entry) {
        return Step::Wait;
    }
    let run = match right {
        Right::Program => take_neighbours(&area, page, entry, plan),
        Right::Debugger => PageRange::single(page),
    };
    Step::Fill(Fill { plan, access, area, page, run })
}

/// Takes the pages that are worth bringing in together with `page`, which is taken already.
fn take_neighbours(area: &Area, page: PageNum, entry: Entry, plan: Plan) -> PageRange {
    // All threads may fill at once, and what they fill must not be most of the cap.
    let share = (residency::reach() / 4 / thread::count()).max(1);
    let streams = &mut Block::current().own().streams;
    let fault_around = control::settings().fault_around_pages.load(Ordering::Relaxed).clamp(1, share);
    // Text and read-only data that have to be read are touched here and there, as those that are mapped
    // through are.
    let reads_around = matches!(plan, Plan::FillImage { .. })
        && !area.protection.contains(Protection::WRITE)
        && fault_around > 1;
    let near = if area.holding.lets_through() {
        around(area, page, fault_around)
    } else if reads_around {
        around(area, page, fault_around.min(BUFFER_PAGES as u64))
    } else {
        let window = streams.window(page).min(share);
        let ahead = PageRange::with_count(page, window).and_then(|ahead| ahead.intersect(area.range));
        let same = around(area, page, WINDOW * 2);
        ahead.map_or(PageRange::single(page), |ahead| match plan {
            Plan::FillZero | Plan::FillImage { .. } => {
                ahead.intersect(same).unwrap_or(PageRange::single(page))
            }
            _ => ahead,
        })
    };
    let mut end = page.plus(1);
    while end < near.end() && take_like(page, entry, plan, end) {
        end = end.plus(1);
    }
    let mut start = page;
    while start > near.start() && take_like(page, entry, plan, PageNum(start.0 - 1)) {
        start = PageNum(start.0 - 1);
    }
    if !area.holding.lets_through() && !reads_around {
        streams.filled(end, end.0 - page.0);
    }
    PageRange::new(start, end).unwrap_or(PageRange::single(page))
}

/// Takes `other` if its entry can be handled in one go with that of `page`.
fn take_like(page: PageNum, entry: Entry, plan: Plan, other: PageNum) -> bool {
    let seen = SPACE.table.existing(other).map_or(Entry::Empty, EntryCell::load);
    let alike = match (plan, seen) {
        (Plan::SwapIn(first), Entry::Swapped(slot)) => follows(first, slot, other.0.wrapping_sub(page.0)),
        (Plan::Unprotect, Entry::Resident(Dirt::Clean, _)) => true,
        (Plan::FillZero | Plan::FillImage { .. } | Plan::MapThrough, Entry::Empty | Entry::Zero) => {
            entry == seen
        }
        _ => false,
    };
    alike && take(other, seen)
}

fn follows(first: SwapSlot, slot: SwapSlot, distance: u64) -> bool {
    first.file == slot.file && u64::from(slot.index).wrapping_sub(first.index.into()) == distance
}
