//! Bringing pages in: zeros, pages of an image (read or mapped through), swap slots; and lifting a write
//! protection.
//!
//! Called with every page of the run busy; leaves every one of them settled. No lock is held.

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Access, ImageId};
use pager_core::entry::{Dirt, Entry, SwapSlot};
use pager_core::fault::Plan;
use pager_core::replacement::Install as Arrival;
use pager_core::table::Habit;

use crate::arrival::{arrived, give_up};
use crate::busy::{settle, take_at_work};
use crate::evict;
use crate::host::{Event, Host, Install};
use crate::map_through::map_through;
use crate::work::{Fill, Outcome};

/// Acts on a plan, and has it recorded.
pub fn fill<H: Host>(host: &H, work: &Fill) -> Outcome {
    let _open = host.open();
    let began = host.begin();
    let outcome = act(host, work);
    if outcome == Outcome::Resolved {
        host.event(Event::Resolved { work, began });
    }
    outcome
}

fn act<H: Host>(host: &H, work: &Fill) -> Outcome {
    match work.plan {
        Plan::Unprotect => unprotect(host, work),
        Plan::FillZero => fill_zero(host, work),
        Plan::FillImage { image, offset, valid_bytes } => fill_image(host, work, image, offset, valid_bytes),
        Plan::MapThrough => map_through(host, work),
        Plan::SwapIn(slot) => swap_in(host, work, slot),
        Plan::NoArea | Plan::Guarded | Plan::Denied | Plan::AlreadyThere | Plan::Wait | Plan::KernelOwned => {
            unreachable!("nothing to fill for {:?}", work.plan)
        }
    }
}

/// Whether pages are installed writable (and thus dirty) at once.
///
/// A run that is being written to will be written to further: each page left protected would fault again.
fn installs(work: &Fill) -> Install {
    if work.access == Access::Write { Install::Writable } else { Install::Protected }
}

/// The same for pages that come back from swap: a page that was written to while it was last in memory will
/// be again, and letting it do so at once spares the second fault. One time in sixteen it has to show it.
fn installs_again<H: Host>(host: &H, work: &Fill) -> Install {
    const LEARNING: u64 = 16;
    match host.table().entry(work.page).habit() {
        Habit::Written if !host.one_in(LEARNING) => Install::Writable,
        _ => installs(work),
    }
}

fn unprotect<H: Host>(host: &H, work: &Fill) -> Outcome {
    host.protect(work.run, Install::Writable);
    for page in work.run.iter() {
        let cell = host.table().entry(page);
        let slot = cell.load().slot();
        cell.note(Habit::Written);
        settle(host, page, Entry::Resident(Dirt::Dirty, None));
        slot.into_iter().for_each(|slot| host.release(slot));
    }
    host.event(Event::Filled { work, pages: work.run.count() });
    Outcome::Resolved
}

/// Makes a page that is clean the only copy of what it holds, though the program may not write to it.
pub fn give_up_slot<H: Host>(host: &H, page: PageNum) {
    let seen = host.table().entry(page).load();
    if let Entry::Resident(Dirt::Clean, Some(slot)) = seen
        && take_at_work(host, page, seen)
    {
        host.protect(PageRange::single(page), Install::Writable);
        settle(host, page, Entry::Resident(Dirt::Dirty, None));
        host.release(slot);
    }
}

fn fill_zero<H: Host>(host: &H, work: &Fill) -> Outcome {
    evict::make_room(host, work.run.count());
    host.install_zeros(work.run);
    arrived(host, work.run, work.page, Arrival::First);
    for page in work.run.iter() {
        settle(host, page, Entry::Resident(Dirt::Dirty, None));
    }
    host.event(Event::Filled { work, pages: work.run.count() });
    Outcome::Resolved
}

fn fill_image<H: Host>(host: &H, work: &Fill, image: ImageId, offset: u64, valid_bytes: u32) -> Outcome {
    // The run's first page is not always the one that was touched.
    let first_offset = offset - (work.page.0 - work.run.start().0) * PAGE_SIZE;
    let bytes = match valid_bytes {
        4096 => valid_in_run(work, first_offset),
        _ => (work.page.0 - work.run.start().0) * PAGE_SIZE + u64::from(valid_bytes),
    };
    evict::make_room(host, work.run.count());
    let mut buffer = host.buffer(work.run.count() as usize);
    // Whole pages are read, so that what is counted here is what the file's server counts; what is not the
    // program's is cleared.
    let whole = bytes.next_multiple_of(PAGE_SIZE) as usize;
    let read = host.read_image(image, first_offset, &mut buffer[..whole]);
    let got = *read.as_ref().unwrap_or(&0);
    let valid = got.min(bytes as usize);
    buffer[valid..].fill(0);
    host.event(Event::Read { image, bytes: got as u64 });
    if read.is_err() {
        host.event(Event::DeviceFailed);
    }
    finish_image(host, work, (valid as u64).div_ceil(PAGE_SIZE), &buffer)
}

/// Installs the first `present` pages of the run, gives up the rest.
fn finish_image<H: Host>(host: &H, work: &Fill, present: u64, contents: &[u8]) -> Outcome {
    let how = installs(work);
    let dirt = if how == Install::Writable { Dirt::Dirty } else { Dirt::Clean };
    if let Some(run) = PageRange::with_count(work.run.start(), present) {
        host.install(run, &contents[..run.bytes() as usize], how);
        arrived(host, run, work.page, Arrival::First);
        for page in run.iter() {
            settle(host, page, Entry::Resident(dirt, None));
        }
        host.event(Event::Filled { work, pages: present });
    }
    let given_up = PageRange::new(work.run.start().plus(present), work.run.end());
    give_up(host, given_up);
    match given_up {
        Some(rest) if rest.contains(work.page) => Outcome::Unreadable,
        _ => Outcome::Resolved,
    }
}

/// How many bytes of the run come from the file.
fn valid_in_run(work: &Fill, first_offset: u64) -> u64 {
    match work.area.backing {
        pager_core::area::Backing::Image { offset, valid, .. } => {
            valid.saturating_sub(first_offset - offset).min(work.run.bytes())
        }
        pager_core::area::Backing::Zero => 0,
    }
}

fn swap_in<H: Host>(host: &H, work: &Fill, slot: SwapSlot) -> Outcome {
    evict::make_room(host, work.run.count());
    let first = slot.index - (work.page.0 - work.run.start().0) as u32;
    let mut buffer = host.buffer(work.run.count() as usize);
    let slots = work.run.iter().filter_map(|page| host.table().entry(page).load().slot());
    if host.read_slots(slot.file, first, slots, &mut buffer).is_err() {
        host.event(Event::DeviceFailed);
        for page in work.run.iter() {
            let slot = host.table().entry(page).load().slot();
            settle(host, page, slot.map_or(Entry::Empty, Entry::Swapped));
        }
        host.uncharge(work.run.count());
        return Outcome::Unreadable;
    }
    let how = installs_again(host, work);
    host.install(work.run, &buffer, how);
    arrived(host, work.run, work.page, Arrival::Refault);
    for page in work.run.iter() {
        let cell = host.table().entry(page);
        let slot = cell.load().slot();
        if how == Install::Writable {
            cell.note(Habit::Written);
            settle(host, page, Entry::Resident(Dirt::Dirty, None));
            slot.into_iter().for_each(|slot| host.release(slot));
        } else {
            settle(host, page, Entry::Resident(Dirt::Clean, slot));
        }
    }
    host.event(Event::Filled { work, pages: work.run.count() });
    Outcome::Resolved
}
