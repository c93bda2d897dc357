//! Resolving a fault: find the area, look at the entry, act, let the instruction run again.
//!
//! Decided under the readers' lock of the areas, where the pages concerned are made busy; done without it. A
//! busy entry keeps everybody else out: memory calls wait for it, so an area stays as long as a fill in it is
//! under way.

use pager_core::addr::{PageNum, PageRange, USER_END, VirtAddr};
use pager_core::area::{Access, Area, AreaTree, Holding, Protection};
use pager_core::entry::Entry;
use pager_core::fault::{Plan, classify};
use pager_core::remote::Right;
use pager_core::table::EntryCell;

use crate::busy::{settle, take, take_at_work};
use crate::fill;
use crate::host::{Event, Host};
use crate::neighbours::take_neighbours;
use crate::work::{Fill, Outcome};

enum Step {
    Done(Outcome),
    Wait,
    Fill(Fill),
}

/// Makes the page of `addr` present for `access`, for the host's own sake, by the right of whoever wants it.
///
/// No lock may be held. Afterwards, unless the page is pinned, it may be gone again at any time. A page of a
/// file that is let through has to be a private one before a debugger writes to it.
pub fn make_resident<H: Host>(host: &H, addr: VirtAddr, access: Access, right: Right) -> Outcome {
    match bring_in(host, addr, access, right, || ()) {
        Outcome::Spurious => Outcome::Resolved,
        outcome => outcome,
    }
}

/// The same for a fault that the processor reported; tells a fault on a page that was there.
///
/// No lock may be held.
pub fn on_fault<H: Host>(host: &H, addr: VirtAddr, access: Access) -> Outcome {
    match bring_in(host, addr, access, Right::Program, || host.event(Event::Waited)) {
        Outcome::Spurious => still_there(host, addr.page(), access),
        Outcome::Denied if access == Access::Execute => denied_fetch(host, addr),
        outcome => outcome,
    }
}

/// Acts until the page is there, or cannot be. `Spurious` is one that nothing had to be done or waited for.
/// `at_first_wait` is called before the first wait for another thread.
#[inline(always)]
fn bring_in<H: Host>(
    host: &H,
    addr: VirtAddr,
    access: Access,
    right: Right,
    at_first_wait: impl Fn(),
) -> Outcome {
    if addr.0 >= USER_END {
        return Outcome::NoArea;
    }
    let (page, mut if_there) = (addr.page(), Outcome::Spurious);
    loop {
        match decide(host, page, access, right) {
            Step::Done(Outcome::Spurious) => return if_there,
            Step::Done(outcome) => return outcome,
            Step::Wait => {
                if if_there == Outcome::Spurious {
                    at_first_wait();
                }
                if_there = Outcome::Resolved;
                host.wait(host.table().entry(page));
            }
            Step::Fill(work) => return fill::fill(host, &work),
        }
    }
}

/// A page of the file itself goes without our doing when the file ends before it, and one in a hole may find
/// no place on the disk when it is written to: then it cannot be had.
fn still_there<H: Host>(host: &H, page: PageNum, access: Access) -> Outcome {
    let seen = host.table().existing(page).map_or(Entry::Empty, EntryCell::load);
    if !matches!(seen, Entry::Mapped(_)) || !take_at_work(host, page, seen) {
        return Outcome::Spurious;
    }
    let there = host.can_be_had(page, access);
    settle(host, page, seen);
    if there { Outcome::Spurious } else { Outcome::Unreadable }
}

/// To Linux the fetch of an instruction is a read until the page is there: contents that cannot be had come
/// before the missing permission, unless the area permits nothing at all.
fn denied_fetch<H: Host>(host: &H, addr: VirtAddr) -> Outcome {
    let readable = match make_resident(host, addr, Access::Read, Right::Program) {
        Outcome::Resolved => still_there(host, addr.page(), Access::Read),
        outcome => outcome,
    };
    if readable == Outcome::Unreadable { Outcome::Unreadable } else { Outcome::Denied }
}

/// What an area is to a debugger: all of it may be read, and what is private written to.
fn for_debugger(area: Area) -> Area {
    let more = if area.holding == Holding::Private { Protection::WRITE } else { Protection::READ };
    Area { protection: area.protection | Protection::READ | more, ..area }
}

fn decide<H: Host>(host: &H, page: PageNum, access: Access, right: Right) -> Step {
    host.with_areas(|areas| decide_among(host, areas, page, access, right))
}

fn decide_among<H: Host>(host: &H, areas: &AreaTree, page: PageNum, access: Access, right: Right) -> Step {
    let found = areas.find(page).copied();
    let found = if right == Right::Debugger { found.map(for_debugger) } else { found };
    let entry = host.table().existing(page).map_or(Entry::Empty, EntryCell::load);
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
    if !take(host, page, entry) {
        return Step::Wait;
    }
    let run = match right {
        Right::Program => take_neighbours(host, &area, page, entry, plan),
        Right::Debugger => PageRange::single(page),
    };
    Step::Fill(Fill { plan, access, area, page, run })
}
