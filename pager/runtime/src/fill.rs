//! Bringing pages in: zeros, pages of an image (read or mapped through), swap slots; and lifting a write
//! protection.
//!
//! Called with every page of the run busy; leaves every one of them settled. No lock is held.

use core::sync::atomic::Ordering;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Access, Holding, ImageId};
use pager_core::entry::{Dirt, Entry, SwapSlot};
use pager_core::fault::Plan;
use pager_core::replacement::Install as Arrival;
use pager_core::shared::{FillMode, count};
use pager_core::table::Habit;

use crate::buffers::Buffer;
use crate::busy::{settle, take_at_work};
use crate::clock;
use crate::control;
use crate::die;
use crate::engine;
use crate::evict;
use crate::gate;
use crate::images::IMAGES;
use crate::keys;
use crate::markers;
use crate::record;
use crate::residency;
use crate::space::{self, SPACE};
use crate::swap;
use crate::sys::Errno;
use crate::sys::file;
use crate::sys::memory::{self, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
use crate::sys::uffd::{self, Copied, Install};
use crate::thread::Block;
use crate::window::Window;
use crate::work::{Fill, Outcome};

/// What zero pages are copied from.
static ZEROS: [u8; 32 * PAGE_SIZE as usize] = [0; 32 * PAGE_SIZE as usize];

/// Acts on a plan, and has it recorded.
pub fn fill(work: &Fill) -> Outcome {
    let _keys = keys::open_all();
    let begin = record::begin();
    let outcome = act(work);
    if outcome == Outcome::Resolved {
        record::fault(work, begin);
    }
    outcome
}

fn act(work: &Fill) -> Outcome {
    match work.plan {
        Plan::Unprotect => unprotect(work),
        Plan::FillZero => fill_zero(work),
        Plan::FillImage { image, offset, valid_bytes } => fill_image(work, image, offset, valid_bytes),
        Plan::MapThrough => map_through(work),
        Plan::SwapIn(slot) => swap_in(work, slot),
        Plan::NoArea | Plan::Guarded | Plan::Denied | Plan::AlreadyThere | Plan::Wait | Plan::KernelOwned => {
            die::internal(format_args!("nothing to fill for {:?}", work.plan))
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
fn installs_again(work: &Fill) -> Install {
    const LEARNING: u64 = 16;
    match SPACE.table.entry(work.page).habit() {
        Habit::Written if !(clock::ticks() / 64).is_multiple_of(LEARNING) => Install::Writable,
        _ => installs(work),
    }
}

fn unprotect(work: &Fill) -> Outcome {
    let run = work.run;
    if let Err(errno) = uffd::protect(space::uffd(), run.start().start().0, run.bytes(), Install::Writable) {
        die::internal(format_args!("cannot lift the protection of {run:?}: {errno:?}"));
    }
    for page in run.iter() {
        let cell = SPACE.table.entry(page);
        let slot = cell.load().slot();
        cell.note(Habit::Written);
        settle(page, Entry::Resident(Dirt::Dirty, None));
        slot.into_iter().for_each(swap::release);
    }
    count(&control::counts().faults_protection, 1);
    Outcome::Resolved
}

/// Makes a page that is clean the only copy of what it holds, though the program may not write to it.
pub fn give_up_slot(page: PageNum) {
    let seen = SPACE.table.entry(page).load();
    if let Entry::Resident(Dirt::Clean, Some(slot)) = seen
        && take_at_work(page, seen)
    {
        if let Err(errno) = uffd::protect(space::uffd(), page.start().0, PAGE_SIZE, Install::Writable) {
            die::internal(format_args!("cannot lift the protection of {page:?}: {errno:?}"));
        }
        settle(page, Entry::Resident(Dirt::Dirty, None));
        swap::release(slot);
    }
}

fn fill_zero(work: &Fill) -> Outcome {
    evict::make_room(work.run.count());
    install(work.run, ZEROS.as_ptr(), Install::Writable);
    arrived(work.run, work.page, Arrival::First);
    for page in work.run.iter() {
        settle(page, Entry::Resident(Dirt::Dirty, None));
    }
    count(&control::counts().faults_zero, 1);
    count(&control::counts().pages_zero, work.run.count());
    Outcome::Resolved
}

/// Copies a run into place.
fn install(run: PageRange, from: *const u8, how: Install) {
    engine::unmark(run);
    match uffd::copy(space::uffd(), run.start().start().0, from, run.bytes(), how) {
        Ok(Copied::All) => {}
        Ok(Copied::Present(done)) => die::internal(format_args!(
            "page {:#x} is in memory though its entry says not",
            run.start().start().0 + done
        )),
        Err(errno) => die::internal(format_args!("cannot install {run:?}: {errno:?}")),
    }
}

/// Has the pages tracked, before they are settled: at no moment is a page resident and not in the queue while
/// nothing is busy.
fn arrived(run: PageRange, touched: PageNum, how: Arrival) {
    let cap = control::cap();
    if cap == u64::MAX {
        return;
    }
    let mut queue = SPACE.queue.lock();
    queue.fit(cap, &SPACE.table);
    for page in run.iter() {
        queue.installed(page, if page == touched { how } else { Arrival::Around }, &SPACE.table);
    }
}

fn fill_image(work: &Fill, image: ImageId, offset: u64, valid_bytes: u32) -> Outcome {
    // The run's first page is not always the one that was touched.
    let first_offset = offset - (work.page.0 - work.run.start().0) * PAGE_SIZE;
    let bytes = match valid_bytes {
        4096 => valid_in_run(work, first_offset),
        _ => (work.page.0 - work.run.start().0) * PAGE_SIZE + u64::from(valid_bytes),
    };
    let (fd, row) = {
        let images = IMAGES.lock();
        (images.fd(image), images.row(image))
    };
    let Some(fd) = fd else { die::internal(format_args!("{image:?} has no descriptor")) };
    evict::make_room(work.run.count());
    let mut pooled;
    let buffer: &mut [u8] = if work.run.count() == 1 {
        Block::current().scratch()
    } else {
        pooled = Buffer::take();
        &mut pooled[..work.run.bytes() as usize]
    };
    // Whole pages are read, so that what is counted here is what the file's server counts; what is not the
    // program's is cleared.
    let read = read_pages(fd, &mut buffer[..bytes.next_multiple_of(PAGE_SIZE) as usize], first_offset);
    let got = *read.as_ref().unwrap_or(&0);
    let valid = got.min(bytes as usize);
    buffer[valid..].fill(0);
    row.bytes_read.fetch_add(got as u64, Ordering::Relaxed);
    count(&control::counts().bytes_image_read, got as u64);
    if read.is_err() {
        count(&control::counts().io_errors, 1);
    }
    let present = (valid as u64).div_ceil(PAGE_SIZE);
    fill_holes(fd, first_offset, &buffer[..valid]);
    finish_image(work, present, buffer.as_ptr(), row)
}

/// Has a file in memory get pages for its holes among what was read from `offset` on: it does so when a
/// mapping of it is touched, and not when it is read. Other processes see that by mincore.
fn fill_holes(fd: file::Fd, offset: u64, read: &[u8]) {
    let has_hole = read.chunks(PAGE_SIZE as usize).any(|page| page.iter().all(|byte| *byte == 0));
    if has_hole
        && file::is_in_memory(fd)
        && let Ok(window) = Window::open(fd, offset, read.len().div_ceil(PAGE_SIZE as usize))
    {
        window.populate();
    }
}

/// Installs the first `present` pages of the run, gives up the rest.
fn finish_image(work: &Fill, present: u64, from: *const u8, row: &pager_core::shared::Image) -> Outcome {
    let how = installs(work);
    let dirt = if how == Install::Writable { Dirt::Dirty } else { Dirt::Clean };
    if let Some(run) = PageRange::with_count(work.run.start(), present) {
        install(run, from, how);
        arrived(run, work.page, Arrival::First);
        for page in run.iter() {
            settle(page, Entry::Resident(dirt, None));
        }
        row.pages_filled.fetch_add(present, Ordering::Relaxed);
        count(&control::counts().faults_image, 1);
        count(&control::counts().pages_image, present);
    }
    let given_up = PageRange::new(work.run.start().plus(present), work.run.end());
    give_up(given_up);
    match given_up {
        Some(rest) if rest.contains(work.page) => Outcome::Unreadable,
        _ => Outcome::Resolved,
    }
}

fn give_up(run: Option<PageRange>) {
    let Some(run) = run else { return };
    for page in run.iter() {
        settle(page, Entry::Empty);
    }
    residency::remove(run.count());
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

/// Reads what there is; in exact mode page by page, so that whoever serves the file sees each.
fn read_pages(fd: file::Fd, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
    if control::settings().image_fill.load(Ordering::Relaxed) != FillMode::Exact as u32 {
        return file::pread_all(fd, into, offset);
    }
    let mut done = 0;
    for page in into.chunks_mut(PAGE_SIZE as usize) {
        let got = file::pread_all(fd, page, offset + done as u64)?;
        done += got;
        if got < page.len() {
            break;
        }
    }
    Ok(done)
}

fn swap_in(work: &Fill, slot: SwapSlot) -> Outcome {
    evict::make_room(work.run.count());
    let first = slot.index - (work.page.0 - work.run.start().0) as u32;
    let mut pooled;
    let buffer: &mut [u8] = if work.run.count() == 1 {
        Block::current().scratch()
    } else {
        pooled = Buffer::take();
        &mut pooled[..work.run.bytes() as usize]
    };
    let slots = work.run.iter().filter_map(|page| SPACE.table.entry(page).load().slot());
    if let Err(errno) = swap::of(slot).read(first, slots, buffer) {
        swap::of(slot).report(errno);
        count(&control::counts().io_errors, 1);
        for page in work.run.iter() {
            let slot = SPACE.table.entry(page).load().slot();
            settle(page, slot.map_or(Entry::Empty, Entry::Swapped));
        }
        residency::remove(work.run.count());
        return Outcome::Unreadable;
    }
    let how = installs_again(work);
    install(work.run, buffer.as_ptr(), how);
    arrived(work.run, work.page, Arrival::Refault);
    for page in work.run.iter() {
        let cell = SPACE.table.entry(page);
        let slot = cell.load().slot();
        if how == Install::Writable {
            cell.note(Habit::Written);
            settle(page, Entry::Resident(Dirt::Dirty, None));
            slot.into_iter().for_each(swap::release);
        } else {
            settle(page, Entry::Resident(Dirt::Clean, slot));
        }
    }
    count(&control::counts().faults_swap_in, 1);
    count(&control::counts().pages_swap_in, work.run.count());
    Outcome::Resolved
}

fn map_through(work: &Fill) -> Outcome {
    evict::make_room(work.run.count());
    if work.area.holding == Holding::SharedThrough {
        return let_through(work);
    }
    let mut run = work.run;
    if populate(run).is_err() && run.count() > 1 {
        // One page of the chunk cannot be had; the one that was touched perhaps can.
        markers::install(run);
        give_up(PageRange::new(run.start(), work.page));
        give_up(PageRange::new(work.page.plus(1), run.end()));
        run = PageRange::single(work.page);
        if populate(run).is_err() {
            return unreadable(run);
        }
    } else if run.count() == 1 && populate(run).is_err() {
        return unreadable(run);
    }
    let_in(work, run);
    counted(work, run)
}

/// Lifts the markers of a shared mapping, and has the kernel bring in the page that was touched, with what of
/// its neighbours is cached. The others are the kernel's to bring in when they are touched: to ask for them
/// would fill holes of a file in memory.
///
/// A page past the end of the file is let through as well: the file may grow by the very call that reads the
/// page, or by another process.
fn let_through(work: &Fill) -> Outcome {
    let run = work.run;
    if markers::remove(run).is_err() {
        return unreadable(run);
    }
    if bring_in(PageRange::single(work.page)).is_err() {
        let_in(work, run);
        count(&control::counts().io_errors, 1);
        return Outcome::Unreadable;
    }
    let_in(work, run);
    counted(work, run)
}

/// Settles what the kernel maps from now on.
fn let_in(work: &Fill, run: PageRange) {
    arrived(run, work.page, Arrival::First);
    let row = IMAGES.lock().row_number(image_of(work));
    for page in run.iter() {
        settle(page, Entry::Mapped(row));
    }
}

fn counted(work: &Fill, run: PageRange) -> Outcome {
    let row = IMAGES.lock().row(image_of(work));
    row.pages_filled.fetch_add(run.count(), Ordering::Relaxed);
    row.pages_mapped.fetch_add(run.count(), Ordering::Relaxed);
    count(&control::counts().faults_image, 1);
    count(&control::counts().pages_image, run.count());
    Outcome::Resolved
}

fn unreadable(run: PageRange) -> Outcome {
    markers::install(run);
    give_up(Some(run));
    count(&control::counts().io_errors, 1);
    Outcome::Unreadable
}

fn image_of(work: &Fill) -> ImageId {
    match work.area.backing {
        pager_core::area::Backing::Image { image, .. } => image,
        pager_core::area::Backing::Zero => ImageId(u16::MAX),
    }
}

fn populate(run: PageRange) -> Result<(), Errno> {
    markers::remove(run)?;
    bring_in(run)
}

fn bring_in(run: PageRange) -> Result<(), Errno> {
    match memory::madvise(run.start().start().0, run.bytes(), MADV_POPULATE_READ) {
        // What may only be executed or written to: the kernel brings it in when it is.
        Err(Errno::EINVAL) => Ok(()),
        populated => populated,
    }
}

/// The advice by which the kernel brings pages in for an access.
pub fn populate_for(access: Access) -> u64 {
    if access == Access::Write { MADV_POPULATE_WRITE } else { MADV_POPULATE_READ }
}

/// Whether the kernel has a page for an access that the area allows, to where there is no marker. The page
/// must be busy.
pub fn can_be_had(page: PageNum, access: Access) -> bool {
    let _keys = keys::open_all();
    match memory::madvise(page.start().0, PAGE_SIZE, populate_for(access)) {
        // What may only be executed or written to can be read all the same.
        Err(Errno::EINVAL) => {
            let mut byte = 0u8;
            // SAFETY: `byte` is ours; the page is the program's.
            unsafe { gate::copy(&raw mut byte as u64, page.start().0, 1) == 1 }
        }
        populated => populated != Err(Errno::EFAULT),
    }
}
