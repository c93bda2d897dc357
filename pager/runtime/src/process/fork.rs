//! fork: the child gets neither registration, nor protection bits, nor dispatch from the kernel; all of that
//! is made again here.
//!
//! The process is at rest across the clone, so the child finds it so. Slots of swapped pages are co-owned.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use pager_core::addr::PageRange;
use pager_core::area::{Access, Area, AreaTree, ForkPolicy, Holding};
use pager_core::entry::{Dirt, Entry, SwapSlot};

use super::Request;
use super::rest::{self, Rest};
use crate::control;
use crate::credit;
use crate::die;
use crate::engine;
use crate::gate;
use crate::lifeline::{self, Descriptors};
use crate::memory::{limits, locks};
use crate::paging;
use crate::record;
use crate::residency;
use crate::row;
use crate::server;
use crate::signals::held;
use crate::slot;
use crate::slot::Kept;
use crate::space::{self, SPACE};
use crate::swap;
use crate::sys::signal::{self, SignalSet, UContext};
use crate::sys::{Errno, check, file, nr, syscall, task, uffd};
use crate::thread::{self, Block, Kin};
use crate::touch;
use pager_engine::queue::everything;
use pager_engine::work::Outcome;

const SET_TID_ADDRESS: u64 = 218;

/// Attempts to have every slot shared: in between, pages move to slots of their own.
const ATTEMPTS: u32 = 4;

/// Some slot has as many owners as can be counted.
struct Saturated;

/// Forks.
///
/// # Errors
/// As fork(2); EAGAIN too where the limits leave no descriptor for the child, and where a page that may not
/// be read lies in a slot with as many owners as can be counted.
pub fn fork(block: &'static Block, context: &mut UContext, request: &Request) -> Result<u64, Errno> {
    if !limits::has_descriptors() {
        // The child could not open its userfaultfd.
        return Err(Errno::EAGAIN);
    }
    for _ in 0..ATTEMPTS {
        let kept = keep_slot()?;
        let result = fork_once(block, context, request, kept);
        match (&result, kept) {
            // In the child it is nobody else's.
            (Ok(Ok(0)), _) | (_, None) => {}
            (Ok(Ok(child)), Some(slot)) => slot::hand_over(slot, *child as u32),
            (Ok(Err(_)) | Err(Saturated), Some(slot)) => slot::free(slot),
        }
        match result {
            Ok(result) => return result,
            Err(Saturated) => bring_back_saturated(),
        }
    }
    Err(Errno::EAGAIN)
}

/// Keeps a slot for the child, with its part of a shared cap. Where each has its own, it can do without a
/// slot.
fn keep_slot() -> Result<Option<Kept>, Errno> {
    let endowment = paging::endow();
    let kept = slot::keep(endowment);
    if kept.is_none() && credit::shared() {
        credit::take_back(endowment);
        return Err(Errno::EAGAIN);
    }
    Ok(kept)
}

/// Brings pages in saturated slots back, and gives the slots up. Children that were killed stay owners of
/// theirs until the run ends.
fn bring_back_saturated() {
    for (page, cell) in SPACE.table.existing_in(everything()) {
        let is_saturated = matches!(cell.load(), Entry::Swapped(slot) if swap::is_saturated(slot));
        if is_saturated && touch::make_resident(page.start(), Access::Write) == Outcome::Denied {
            touch::make_resident(page.start(), Access::Read);
            paging::give_up_slot(page);
        }
    }
}

fn fork_once(
    block: &'static Block,
    context: &mut UContext,
    request: &Request,
    kept: Option<Kept>,
) -> Result<Result<u64, Errno>, Saturated> {
    let rest = Rest::come(block);
    let policies: Vec<Area> =
        rest.areas().iter().filter(|area| area.fork != ForkPolicy::Copy).copied().collect();
    let shared = share_slots(&policies)?;
    lifeline::open_spare();
    let heap = rest::still_heap(&rest);
    // What arrived before is the parent's, and what arrives afterwards the child's own.
    let mask = signal::set_mask(SignalSet::ALL);
    control::note_forking(true);
    // SAFETY: no CLONE_VM: the child has a copy of this stack, and of everything else.
    let result = check(unsafe {
        syscall(nr::CLONE, [request.kernel_flags(), 0, request.parent_tid, 0, request.tls, 0])
    });
    if result == Ok(0) {
        block.inbox.clear();
        held::forget(block);
    } else {
        control::note_forking(false);
    }
    signal::set_mask(mask);
    drop(heap);
    if result != Ok(0) {
        lifeline::drop_spare();
    }
    drop(rest);
    match result {
        Ok(0) => become_child(block, context, request, kept),
        Ok(_) => {}
        Err(_) => shared.into_iter().for_each(swap::disown),
    }
    Ok(result)
}

/// Makes the child a co-owner of every slot whose page it will have. Nothing is busy and no area can change,
/// so entries stand still.
fn share_slots(policies: &[Area]) -> Result<Vec<SwapSlot>, Saturated> {
    let mut shared = Vec::new();
    if !swap::in_use() {
        return Ok(shared);
    }
    for (page, cell) in SPACE.table.existing_in(everything()) {
        let Entry::Swapped(slot) = cell.load() else { continue };
        if policies.iter().any(|area| area.range.contains(page)) {
            continue;
        }
        if swap::share(slot).is_err() {
            shared.into_iter().for_each(swap::disown);
            return Err(Saturated);
        }
        shared.push(slot);
    }
    Ok(shared)
}

fn become_child(block: &'static Block, context: &mut UContext, request: &Request, kept: Option<Kept>) {
    thread::only(block);
    slot::enter_space(slot::space());
    slot::take(kept);
    lifeline::take_hold_in_child(request.descriptors());
    row::fork(&SPACE.areas.read());
    let own = block.own();
    own.tid = task::tid();
    block.sandbox.belong(task::pid(), own.tid);
    own.clear_tid = request.clear_tid();
    block.robust.store(0, Ordering::Relaxed);
    own.trace_due = false;
    own.kin = Kin::Thread;
    held::publish(block, block.own().mask);
    if let Err(errno) = take_over(block, request) {
        die::internal(format_args!("a forked child cannot be taken over: {errno:?}"));
    }
    control::process().listen();
    control::note_forking(false);
    request.tell_child(block.own().tid);
    if request.stack != 0 {
        context.machine.rsp = request.stack;
    }
}

fn take_over(block: &'static Block, request: &Request) -> Result<(), Errno> {
    // The alternate stack is inherited, and in use.
    task::dispatch_on(gate::text())?;
    // SAFETY: the address lives as long as the process.
    check(unsafe { syscall(SET_TID_ADDRESS, [block.alive.as_ptr() as u64, 0, 0, 0, 0, 0]) })?;
    if request.descriptors() == Descriptors::Copied {
        file::close(space::uffd());
    }
    space::set_uffd(engine::open()?);
    let mut areas = SPACE.areas.write();
    locks::forget(&mut areas);
    let odd: Vec<Area> = areas.iter().filter(|area| area.fork != ForkPolicy::Copy).copied().collect();
    for area in &odd {
        forget(area.range);
        if area.fork.skips() {
            areas.remove(area.range);
        }
    }
    register(&areas)?;
    areas
        .iter()
        .filter(|area| area.holding == Holding::Private && area.fork.wipes())
        .for_each(|area| engine::mark(area.range, area.protection));
    drop(areas);
    adopt_pages();
    record::forked(task::parent());
    server::start()
}

/// Registers all private areas, neighbours in one go: the kernel may hold two of ours as one, and with as
/// many mappings as there may be it could not split that.
fn register(areas: &AreaTree) -> Result<(), Errno> {
    let mut private = areas.iter().filter(|area| area.holding == Holding::Private).map(|area| area.range);
    let Some(mut run) = private.next() else { return Ok(()) };
    let register = |run: PageRange| uffd::register(space::uffd(), run.start().start().0, run.bytes());
    for range in private {
        match PageRange::new(run.start(), range.end()).filter(|_| range.start() == run.end()) {
            Some(longer) => run = longer,
            None => {
                register(run)?;
                run = range;
            }
        }
    }
    register(run)
}

/// Drops entries of pages that the child does not have; their slots were not shared.
fn forget(range: PageRange) {
    for (_, cell) in SPACE.table.existing_in(range) {
        cell.overwrite(Entry::Empty);
    }
}

/// Every private page in memory is the child's own now, dirty, in no slot. What says so already is not
/// written again: the table is shared with the parent until one of the two writes to it.
fn adopt_pages() {
    let (mut resident, mut swapped) = (0, 0);
    for (_, cell) in SPACE.table.existing_in(everything()) {
        let entry = cell.load();
        if matches!(entry, Entry::Resident(..)) && entry != Entry::Resident(Dirt::Dirty, None) {
            cell.overwrite(Entry::Resident(Dirt::Dirty, None));
        }
        resident += u64::from(entry.is_resident());
        swapped += u64::from(matches!(entry, Entry::Swapped(_)));
    }
    if let Some(row) = row::own() {
        row.add_swap(swapped);
    }
    let resident = residency::add(resident);
    credit::adopt(residency::with_overhead(resident));
    residency::note_settled(resident);
}
