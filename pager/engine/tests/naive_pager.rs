//! The engine on an array of bytes, against a pager that cannot be wrong: it keeps every byte that was written.
//!
//! `ENGINE_SEED` chooses other operations; a failure names the seed that repeats it. With `INTEGRATION_FULL=1` there
//! are 10^7 operations in place of 40,000.

mod model;
#[path = "system/mod.rs"]
mod sync;

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use model::locks::lock;
use model::{Answer, BASE, Model, Part, next};
use pager_core::addr::{PAGE_SIZE, PageNum, VirtAddr};
use pager_core::entry::Entry;
use pager_core::replacement::PolicyKind;
use pager_core::table::EntryCell;
use pager_engine::evict;
use pager_engine::fill;
use pager_engine::work::Outcome;

const PAGES: u64 = 512;

fn operations() -> u64 {
    match std::env::var_os("INTEGRATION_FULL") {
        _ if cfg!(miri) => 60,
        Some(_) => 10_000_000,
        None => 40_000,
    }
}

fn seed() -> u64 {
    let seed = std::env::var("ENGINE_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.unwrap_or(20_261_201)
}

/// Says which seed failed.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat it: ENGINE_SEED={}", self.0);
        }
    }
}

/// One thread at work on a model, and what it must find there.
struct Walker<'m> {
    model: &'m Model,
    state: u64,
    /// This walker's bytes: those at offsets that are `own` modulo `of`.
    own: u64,
    of: u64,
    written: HashMap<VirtAddr, u8>,
    /// Where a sequential run is.
    at: u64,
    unreadable: u64,
}

impl<'m> Walker<'m> {
    fn new(model: &'m Model, seed: u64, own: u64, of: u64) -> Walker<'m> {
        let mut state = seed ^ (own + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..8).for_each(|_| _ = next(&mut state));
        Walker { model, state, own, of, written: HashMap::new(), at: 0, unreadable: 0 }
    }

    fn random(&mut self, below: u64) -> u64 {
        (next(&mut self.state) >> 11) % below
    }

    /// An address: in a run, in a hot tenth, or anywhere.
    fn address(&mut self) -> VirtAddr {
        let page = match self.random(4) {
            0 => {
                self.at = (self.at + 1) % self.model.pages;
                self.at
            }
            1 => self.random(self.model.pages / 10),
            _ => self.random(self.model.pages),
        };
        let offset = self.random(PAGE_SIZE / self.of) * self.of + self.own;
        VirtAddr(BASE.plus(page).start().0 + offset)
    }

    /// Touches an address, and compares what comes with what must.
    fn touch(&mut self, addr: VirtAddr, value: Option<u8>) {
        let answer = self.model.touch(addr, value);
        let first = self.model.first_byte(addr);
        let known = *self.written.get(&addr).unwrap_or(&first);
        let expected = match (self.model.part(addr.page()), value) {
            (None, _) => Answer::Refused(Outcome::NoArea),
            (Some(Part::Text | Part::ReadOnly), Some(_)) => Answer::Refused(Outcome::Denied),
            _ => Answer::Byte(known),
        };
        let fails = self.model.failing.load(Ordering::Relaxed) != 0;
        if fails && matches!(expected, Answer::Byte(_)) && answer == Answer::Refused(Outcome::Unreadable) {
            self.unreadable += 1;
            return;
        }
        assert_eq!(answer, expected, "{addr:?} {value:?}");
        if let (Answer::Byte(_), Some(value)) = (answer, value) {
            self.written.insert(addr, value);
        }
    }

    fn step(&mut self) {
        let addr = self.address();
        let value = (self.random(3) == 0).then(|| self.random(256) as u8);
        self.touch(addr, value);
    }
}

/// What else happens: pins, another cap, a debugger's wish, slots given up.
fn disturb(walker: &mut Walker, most: u64) {
    let model = walker.model;
    let page = walker.address().page();
    match walker.random(5) {
        0 => lock(&model.pinned, |pinned| pinned.push(page)),
        1 => lock(&model.pinned, |pinned| _ = pinned.pop()),
        2 => {
            model.cap.store(1 + walker.random(most), Ordering::SeqCst);
            evict::keep_to_cap(model);
        }
        3 => fill::give_up_slot(model, page),
        _ => {
            let room = walker.random(4) * PAGES / 2;
            model.set_swap_room(room);
        }
    }
}

/// Whether more is resident than the cap allows, though nothing keeps it there.
fn exceeds(model: &Model) -> bool {
    let (resident, cap) = (model.resident.load(Ordering::SeqCst), model.cap.load(Ordering::SeqCst));
    resident > cap
}

#[test]
fn one_thread_finds_every_byte_and_stays_below_its_cap() {
    let _repeat = Repeat(seed());
    for (policy, cap) in [(PolicyKind::TwoQueue, 64), (PolicyKind::Fifo, 64), (PolicyKind::TwoQueue, 1)] {
        let model = Model::new(PAGES, cap, policy, 1);
        let mut walker = Walker::new(&model, seed(), 0, 1);
        for i in 0..operations() / 4 {
            walker.step();
            assert!(!exceeds(&model), "after {i} operations");
        }
        model.check();
        let told = [&model.told.filled, &model.told.evicted, &model.told.written, &model.told.left];
        assert!(told.iter().all(|counter| counter.load(Ordering::Relaxed) > 0));
    }
}

#[test]
fn a_run_of_one_thread_can_be_repeated() {
    let run = || {
        let model = Model::new(PAGES, 40, PolicyKind::TwoQueue, 1);
        let mut walker = Walker::new(&model, 7, 0, 1);
        (0..20_000).for_each(|_| walker.step());
        let told = [&model.told.filled, &model.told.evicted, &model.told.written];
        told.map(|counter| counter.load(Ordering::Relaxed))
    };
    assert_eq!(run(), run());
}

#[test]
fn devices_that_fail_lose_nothing() {
    let _repeat = Repeat(seed());
    for one_in in [16, 256] {
        let model = Model::new(PAGES, 48, PolicyKind::TwoQueue, 1);
        model.failing.store(one_in, Ordering::Relaxed);
        let mut walker = Walker::new(&model, seed() + one_in, 0, 1);
        for i in 0..operations() / 2 {
            walker.step();
            if i % 64 == 0 {
                disturb(&mut walker, 64);
            }
        }
        assert!(walker.unreadable > 0 && model.told.failed.load(Ordering::Relaxed) > 0);
        model.check();
        // Once the devices work again, all of it is there.
        model.failing.store(0, Ordering::Relaxed);
        let written: Vec<VirtAddr> = walker.written.keys().copied().collect();
        written.into_iter().for_each(|addr| walker.touch(addr, None));
        model.check();
    }
}

#[test]
fn a_changed_bit_is_found_by_whoever_reads_the_page_and_by_nobody_else() {
    let model = Model::new(PAGES, 32, PolicyKind::TwoQueue, 1);
    let mut walker = Walker::new(&model, 3, 0, 1);
    (0..5_000).for_each(|_| walker.step());
    let mut found = 0;
    for _ in 0..operations() / 100 {
        let page = BASE.plus(walker.random(5 * PAGES / 8));
        let Entry::Swapped(slot) = entry(&model, page) else {
            walker.step();
            continue;
        };
        let bit = walker.random(PAGE_SIZE * 8);
        lock(&model.swap[usize::from(slot.file)], |swap| swap.flip(slot.index, bit));
        assert_eq!(model.touch(page.start(), None), Answer::Refused(Outcome::Unreadable));
        assert_eq!(entry(&model, page), Entry::Swapped(slot), "a page that cannot be read stays where it is");
        lock(&model.swap[usize::from(slot.file)], |swap| swap.flip(slot.index, bit));
        walker.touch(page.start(), None);
        found += 1;
    }
    assert!(found > 50, "{found}");
    model.check();
}

fn entry(model: &Model, page: PageNum) -> Entry {
    model.table.existing(page).map_or(Entry::Empty, EntryCell::load)
}

/// Without swap what was written to stays, and files are read in what memory it leaves.
#[test]
fn clean_pages_leave_when_swap_is_full() {
    let model = Model::new(PAGES, 64, PolicyKind::TwoQueue, 1);
    model.set_swap_room(0);
    let mut walker = Walker::new(&model, 5, 0, 1);
    (0..40).for_each(|page| walker.touch(VirtAddr(BASE.plus(page * 7).start().0), Some(9)));
    for round in 0..3 {
        for page in (5 * PAGES / 8)..(7 * PAGES / 8) {
            walker.touch(VirtAddr(BASE.plus(page).start().0 + round), None);
            assert!(!exceeds(&model), "{page}");
        }
    }
    (0..40).for_each(|page| walker.touch(VirtAddr(BASE.plus(page * 7).start().0), None));
    assert_eq!(model.told.out_of_swap.load(Ordering::Relaxed), 0);
    model.check();
    (0..40).for_each(|page| walker.touch(VirtAddr(BASE.plus(3 + page * 7).start().0), Some(9)));
    assert!(exceeds(&model) && model.told.out_of_swap.load(Ordering::Relaxed) > 0);
    model.check();
}

#[test]
fn pages_stay_when_swap_is_full() {
    let model = Model::new(PAGES, 16, PolicyKind::TwoQueue, 1);
    model.set_swap_room(4);
    let mut walker = Walker::new(&model, 5, 0, 1);
    (0..2_000).for_each(|_| walker.step());
    assert!(exceeds(&model), "there was no room for what was written to");
    model.check();
    model.set_swap_room(2 * PAGES);
    evict::keep_to_cap(&model);
    assert!(!exceeds(&model));
    model.check();
}

#[test]
fn threads_find_their_own_bytes_while_all_fault_and_evict() {
    let _repeat = Repeat(seed());
    for (threads, one_in) in [(2, 0), (4, 0), (3, 64)] {
        let model = Model::new(PAGES, 40, PolicyKind::TwoQueue, threads);
        model.failing.store(one_in, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for own in 0..threads {
                let model = &model;
                scope.spawn(move || {
                    let mut walker = Walker::new(model, seed(), own, threads);
                    for i in 0..operations() / 8 {
                        walker.step();
                        if own == 0 && i % 256 == 0 {
                            disturb(&mut walker, 64);
                        }
                    }
                });
            }
        });
        model.check();
    }
}
