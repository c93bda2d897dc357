//! The way of private pages out of memory: protected, copied, written to swap, dropped.

use arrayvec::ArrayVec;
use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::entry::{Dirt, Entry, SwapSlot};
use pager_core::table::Habit;
use pager_core::trace::Departure;

use crate::batch::{BATCH, Victim};
use crate::busy::settle;
use crate::host::{Event, Host, Install, Written};
use crate::runs::runs;

/// A page that leaves, and what its entry says once it is gone.
#[derive(Clone, Copy)]
struct Leaving {
    page: PageNum,
    next: Entry,
    how: Departure,
}

type Leavings = ArrayVec<Leaving, BATCH>;

/// Evicts private pages, at most [`BATCH`], sorted; how many went.
pub(crate) fn write_out<H: Host>(host: &H, victims: &[Victim]) -> usize {
    let is_dirty = |victim: &&Victim| matches!(victim.was, Entry::Resident(Dirt::Dirty, _));
    let dirty: ArrayVec<PageNum, BATCH> = victims.iter().filter(is_dirty).map(|victim| victim.page).collect();
    // A thread that is alone is here, and does not write.
    if !host.is_alone() {
        runs(dirty.iter().copied()).for_each(|run| host.protect(run, Install::Protected));
    }
    let mut leaving = Leavings::new();
    for victim in victims.iter().filter(|victim| !is_dirty(victim)) {
        host.table().entry(victim.page).note(Habit::Read);
        let next = victim.was.slot().map_or(Entry::Empty, Entry::Swapped);
        leaving.push(Leaving { page: victim.page, next, how: Departure::Clean });
    }
    save(host, &dirty, &mut leaving);
    leaving.sort_unstable_by_key(|leaving| leaving.page);
    if host.wants_departures() {
        tell(host, &leaving);
    }
    remove(host, &leaving);
    leaving.iter().for_each(|leaving| settle(host, leaving.page, leaving.next));
    leaving.len()
}

/// A run of neighbours that leave alike is one event.
fn tell<H: Host>(host: &H, leaving: &[Leaving]) {
    for alike in leaving.chunk_by(|a, b| a.page.plus(1) == b.page && a.how == b.how) {
        let range = PageRange::with_count(alike[0].page, alike.len() as u64);
        range.into_iter().for_each(|range| host.event(Event::Leaves { range, how: alike[0].how }));
    }
}

/// Copies and writes dirty pages; those that are safe now are added to `leaving`.
fn save<H: Host>(host: &H, dirty: &[PageNum], leaving: &mut Leavings) {
    if dirty.is_empty() {
        return;
    }
    let mut buffer = host.buffer(BATCH);
    let mut filled = ArrayVec::<PageNum, BATCH>::new();
    for &page in dirty {
        let at = filled.len() * PAGE_SIZE as usize;
        let contents = &mut buffer[at..at + PAGE_SIZE as usize];
        host.read_page(page, contents);
        if is_zero(contents) {
            leaving.push(Leaving { page, next: Entry::Zero, how: Departure::Zero });
            host.event(Event::ZeroDropped);
        } else {
            filled.push(page);
        }
    }
    let mut done = 0;
    while done < filled.len() {
        let contents = &buffer[done * PAGE_SIZE as usize..filled.len() * PAGE_SIZE as usize];
        done += write_some(host, &filled[done..], contents, leaving);
    }
}

/// Writes the first pages to as long a run of slots as there is; how many were dealt with: all of them, to stay where
/// they are, where there is no room for any.
fn write_some<H: Host>(host: &H, pages: &[PageNum], contents: &[u8], leaving: &mut Leavings) -> usize {
    let mut slots = ArrayVec::<SwapSlot, BATCH>::new();
    match host.write_slots(contents, |slot| slots.push(slot)) {
        Written::Saved => {
            host.event(Event::Written { pages: slots.len() as u64 });
            for (&page, &slot) in pages.iter().zip(&slots) {
                leaving.push(Leaving { page, next: Entry::Swapped(slot), how: Departure::Written });
            }
            slots.len()
        }
        Written::Failed { device, pages: failed, error } => {
            host.event(Event::DeviceFailed);
            keep(host, &pages[..failed]);
            host.note_failure(device, error);
            failed
        }
        Written::Full => {
            keep(host, pages);
            pages.len()
        }
    }
}

/// Leaves pages in memory whose contents could not be saved.
fn keep<H: Host>(host: &H, pages: &[PageNum]) {
    for &page in pages {
        host.protect(PageRange::single(page), Install::Writable);
        host.with_queue(|queue| queue.put_back(page));
        settle(host, page, Entry::Resident(Dirt::Dirty, None));
    }
}

fn is_zero(page: &[u8]) -> bool {
    page.as_chunks::<64>().0.iter().all(|line| *line == [0; 64])
}

fn remove<H: Host>(host: &H, leaving: &[Leaving]) {
    let ranges: ArrayVec<PageRange, BATCH> = runs(leaving.iter().map(|leaving| leaving.page)).collect();
    if !ranges.is_empty() {
        host.remove(&ranges);
    }
}
