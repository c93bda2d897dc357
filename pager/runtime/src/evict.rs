//! Making room: which pages leave, in batches.
//!
//! Order for a batch, and why: the entries are made busy (nobody else changes the pages), then pinned pages
//! are handed back (a thread that pins first publishes the pin, then looks at the entry), dirty runs are
//! write-protected (a writer faults and waits; where there are other threads), copied, written to swap, and
//! only then all are dropped with one call and the entries settled. A page can be read until it is dropped,
//! and never loses a write.

use alloc::vec::Vec;
use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::entry::{Dirt, Entry};
use pager_core::pool::Occasion;
use pager_core::replacement::{LARGEST_BATCH, batch_of};
use pager_core::shared::count;
use pager_core::table::{EntryCell, Habit};
use pager_core::trace::Departure;

use crate::buffers::{BUFFER_PAGES, Buffer};
use crate::busy::{settle, take};
use crate::control;
use crate::credit;
use crate::die;
use crate::engine;
use crate::gate;
use crate::images;
use crate::keys;
use crate::lifeline;
use crate::markers;
use crate::memory::limits;
use crate::record;
use crate::residency;
use crate::row;
use crate::space::{self, SPACE};
use crate::swap;
use crate::sys::file;
use crate::sys::memory;
use crate::sys::task;
use crate::sys::uffd::{self, Install};
use crate::thread;

/// Attempts to get below the cap before it is exceeded by what is pinned or busy.
const ATTEMPTS: u32 = 64;

/// A page on its way out. Its entry is busy.
#[derive(Clone, Copy)]
struct Victim {
    page: PageNum,
    was: Entry,
}

const _: () = assert!(LARGEST_BATCH <= BUFFER_PAGES as u64, "a batch is written from one buffer");

/// Counts `pages` as resident and evicts until all fit under the cap.
///
/// Where everything else is pinned or busy the cap is exceeded by at most what is: progress comes before the
/// cap.
pub fn make_room(pages: u64) {
    make_room_on(Occasion::Fault, pages);
}

/// Evicts down to the cap, which was lowered, or to what others leave of it.
pub fn keep_to_cap() {
    make_room_on(Occasion::Poke, 0);
}

fn make_room_on(occasion: Occasion, pages: u64) {
    let now = residency::add(pages);
    let owed = credit::settle(residency::with_overhead(now), occasion);
    let now = shrink(now);
    credit::pay(owed, residency::with_overhead(now).saturating_sub(credit::held()));
    residency::note_settled(now);
}

/// Sets aside what a child will have of a shared cap, and evicts what there is then no room for in both: how
/// much it is.
pub fn endow() -> u64 {
    let endowment = credit::endow(residency::with_overhead(residency::now()));
    shrink(residency::now());
    endowment
}

/// Evicts until what is resident, now `now`, fits; what is left.
fn shrink(mut now: u64) -> u64 {
    let mut attempts = 0;
    while now > residency::room() && attempts < ATTEMPTS {
        let cap = residency::room();
        if evict(batch_of(now, cap) as usize) == 0 {
            attempts += 1;
            task::give_way();
        }
        now = residency::now();
    }
    now
}

/// Evicts up to `wanted` pages; how many went.
fn evict(wanted: usize) -> usize {
    let _keys = keys::open_all();
    let mut victims = choose(wanted);
    hand_back_pinned(&mut victims);
    victims.sort_unstable_by_key(|victim| victim.page);
    let (mapped, private): (Vec<_>, Vec<_>) =
        victims.iter().partition(|victim| matches!(victim.was, Entry::Mapped(_)));
    unmap(&mapped);
    let mut gone = mapped.len();
    for batch in private.chunks(BUFFER_PAGES) {
        gone += swap_out(batch);
    }
    count(&control::counts().pages_evicted, gone as u64);
    residency::remove(gone as u64);
    gone
}

fn choose(wanted: usize) -> Vec<Victim> {
    let mut pages = Vec::with_capacity(wanted);
    let mut victims = Vec::with_capacity(wanted);
    let mut queue = SPACE.queue.lock();
    queue.fit(control::cap(), &SPACE.table);
    queue.victims(wanted, &SPACE.table, &mut pages);
    for page in pages {
        if !take_victim(page, &mut victims) {
            queue.put_back(page);
        }
    }
    victims
}

fn take_victim(page: PageNum, victims: &mut Vec<Victim>) -> bool {
    let was = SPACE.table.existing(page).map_or(Entry::Empty, EntryCell::load);
    let taken = was.is_resident() && take(page, was);
    if taken {
        victims.push(Victim { page, was });
    }
    taken
}

fn hand_back_pinned(victims: &mut Vec<Victim>) {
    let pages: Vec<PageNum> = victims.iter().map(|victim| victim.page).collect();
    let mut pinned = alloc::vec![false; pages.len()];
    thread::for_pinned(&pages, |i| pinned[i] = true);
    thread::robust_lists_in(&pages)
        .iter()
        .filter(|(_, head)| holds_mutexes(*head))
        .for_each(|(i, _)| pinned[*i] = true);
    if !pinned.contains(&true) {
        return;
    }
    let mut queue = SPACE.queue.lock();
    let mut flags = pinned.iter();
    victims.retain(|victim| {
        let keep = !flags.next().copied().unwrap_or(false);
        if !keep {
            queue.put_back(victim.page);
            settle(victim.page, victim.was);
        }
        keep
    });
}

/// Whether there is a mutex on the robust list with this head, which is in memory. The kernel goes through it when a
/// signal ends the thread, and reaches what is in memory then.
fn holds_mutexes(head: u64) -> bool {
    let mut first = head;
    // SAFETY: (1) `first` is ours; (2) the head is the program's.
    let read = unsafe { gate::copy(&raw mut first as u64, head, 8) };
    // The lowest bit says what sort of mutex it is.
    read == 8 && first & !1 != head
}

fn unmap(mapped: &[Victim]) {
    for run in runs(mapped) {
        markers::install(run);
        record::evicted(run, Departure::Mapped);
    }
    for victim in mapped {
        if let Entry::Mapped(row) = victim.was {
            count(&images::row_at(row).pages_evicted, 1);
        }
        settle(victim.page, Entry::Empty);
    }
}

/// Maximal runs of neighbouring pages in sorted victims.
fn runs(victims: &[Victim]) -> impl Iterator<Item = PageRange> + '_ {
    victims
        .chunk_by(|a, b| a.page.0 + 1 == b.page.0)
        .filter_map(|chunk| PageRange::with_count(chunk[0].page, chunk.len() as u64))
}

/// Evicts private pages, at most a buffer of them, sorted; how many went.
fn swap_out(victims: &[Victim]) -> usize {
    let dirty: Vec<Victim> = victims
        .iter()
        .copied()
        .filter(|victim| matches!(victim.was, Entry::Resident(Dirt::Dirty, _)))
        .collect();
    // A thread that is alone is here, and does not write.
    let writers = if thread::is_alone() { &[][..] } else { &dirty[..] };
    for run in runs(writers) {
        if let Err(errno) =
            uffd::protect(space::uffd(), run.start().start().0, run.bytes(), Install::Protected)
        {
            die::internal(format_args!("cannot protect {run:?}: {errno:?}"));
        }
    }
    let clean = || victims.iter().filter(|victim| matches!(victim.was, Entry::Resident(Dirt::Clean, _)));
    clean().for_each(|victim| SPACE.table.entry(victim.page).note(Habit::Read));
    let mut after: Vec<(PageNum, Entry)> =
        clean().map(|victim| (victim.page, victim.was.slot().map_or(Entry::Empty, Entry::Swapped))).collect();
    save(&dirty, &mut after);
    if record::is_on() {
        record_departures(victims, &after);
    }
    drop_pages(&after);
    after.iter().for_each(|(page, entry)| settle(*page, *entry));
    after.len()
}

/// Records that the pages of `after`, all of them `victims`, leave with those next entries: a run of
/// neighbours that leave alike is one event.
fn record_departures(victims: &[Victim], after: &[(PageNum, Entry)]) {
    let how = |(page, next): &(PageNum, Entry)| {
        let was =
            victims.iter().find(|victim| victim.page == *page).map_or(Entry::Empty, |victim| victim.was);
        record::departure(was, *next)
    };
    for run in after.chunk_by(|a, b| a.0.0 + 1 == b.0.0 && how(a) == how(b)) {
        PageRange::with_count(run[0].0, run.len() as u64)
            .into_iter()
            .for_each(|range| record::evicted(range, how(&run[0])));
    }
}

/// Copies and writes dirty pages; those that are safe now are added to `after` with their next entry.
fn save(dirty: &[Victim], after: &mut Vec<(PageNum, Entry)>) {
    if dirty.is_empty() {
        return;
    }
    let mut buffer = Buffer::take();
    let mut filled: Vec<PageNum> = Vec::with_capacity(dirty.len());
    for victim in dirty {
        let at = filled.len() * PAGE_SIZE as usize;
        let slot = &mut buffer[at..at + PAGE_SIZE as usize];
        copy_out(victim.page, slot);
        if is_zero(slot) {
            after.push((victim.page, Entry::Zero));
            count(&control::counts().pages_zero_dropped, 1);
        } else {
            filled.push(victim.page);
        }
    }
    let mut done = 0;
    while done < filled.len() {
        done += write_some(&filled[done..], &buffer[done * PAGE_SIZE as usize..], after);
    }
}

/// Writes the first pages to as long a run of slots as there is; how many were dealt with.
fn write_some(pages: &[PageNum], contents: &[u8], after: &mut Vec<(PageNum, Entry)>) -> usize {
    let Some((swap, run)) = swap::allocate(pages.len() as u32) else { no_swap() };
    let (pages, contents) =
        (&pages[..run.count as usize], &contents[..run.count as usize * PAGE_SIZE as usize]);
    let slots = match swap.write(run, contents) {
        Ok(slots) => slots,
        Err(errno) => {
            count(&control::counts().io_errors, 1);
            swap.give_back(run);
            keep(pages);
            die::event!("writing {} pages to swap failed: {errno:?}", pages.len());
            swap.note_failure(errno);
            return pages.len();
        }
    };
    swap.note_success();
    count(&control::counts().pages_written, pages.len() as u64);
    if let Some(row) = row::own() {
        row.add_swap(pages.len() as u64);
    }
    after.extend(pages.iter().zip(slots).map(|(page, slot)| (*page, Entry::Swapped(slot))));
    pages.len()
}

/// Leaves pages in memory whose contents could not be saved.
fn keep(pages: &[PageNum]) {
    for page in pages {
        let _ = uffd::protect(space::uffd(), page.start().0, PAGE_SIZE, Install::Writable);
        SPACE.queue.lock().put_back(*page);
        settle(*page, Entry::Resident(Dirt::Dirty, None));
    }
}

/// All swap is taken, or cannot be written: as the kernel's out-of-memory killer, end this program and say
/// why.
fn no_swap() -> ! {
    swap::report_none();
    lifeline::end()
}

/// Reads a page that is present, whatever the program may do with it.
fn copy_out(page: PageNum, into: &mut [u8]) {
    // The server of faults takes no signal, and an access that is refused would be one: the kernel reads for
    // it.
    let copied = if engine::has_server() {
        memory::read_own(page.start().0, into).unwrap_or(0)
    } else {
        // SAFETY: `into` is ours and a page long; the page is the program's.
        unsafe { gate::copy(into.as_mut_ptr() as u64, page.start().0, PAGE_SIZE) }
    };
    if copied == PAGE_SIZE {
        return;
    }
    // No read access: the kernel's own way in does not ask for it. The process's own file has no memory once
    // its first thread has ended.
    let open = || file::open(b"/proc/thread-self/mem\0", file::O_RDONLY | file::O_CLOEXEC);
    let got = limits::with_descriptors(open).and_then(|fd| {
        let got = file::pread_all(fd, into, page.start().0);
        file::close(fd);
        got
    });
    if got != Ok(PAGE_SIZE as usize) {
        die::internal(format_args!("cannot read resident page {:#x}: {got:?}", page.start().0));
    }
}

fn is_zero(page: &[u8]) -> bool {
    page.as_chunks::<64>().0.iter().all(|line| *line == [0; 64])
}

fn drop_pages(after: &[(PageNum, Entry)]) {
    let mut pages: Vec<PageNum> = after.iter().map(|(page, _)| *page).collect();
    pages.sort_unstable();
    let ranges: Vec<PageRange> = pages
        .chunk_by(|a, b| a.0 + 1 == b.0)
        .filter_map(|run| PageRange::with_count(run[0], run.len() as u64))
        .collect();
    if ranges.is_empty() {
        return;
    }
    if let Err(errno) = engine::zap(&ranges) {
        die::internal(format_args!("cannot drop evicted pages: {errno:?}"));
    }
}
