//! Two and three threads that fault on the same few pages, in orders that a model checker (shuttle) chooses: at every
//! lock and every look at the page table it decides who runs on.
//!
//! What is explored: schedules at random, and those with a bounded number of changes (PCT), a fixed number of each.
//! Atomic operations on one entry are single steps. A failure prints the schedule that repeats it.

mod model;
#[path = "shuttled/mod.rs"]
mod sync;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::locks::lock;
use model::{Answer, BASE, Model, Part, next};
use pager_core::addr::VirtAddr;
use pager_core::replacement::PolicyKind;
use pager_engine::work::Outcome;
use pager_engine::{evict, fill};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};

/// Pages of the space: two of each part, but one that may only be read.
const PAGES: u64 = 16;
const TOUCHES: u64 = 12;

fn schedules(most: usize) -> usize {
    if std::env::var_os("INTEGRATION_FULL").is_some() { most * 50 } else { most }
}

/// Threads that touch bytes of their own on pages that they share, and the cap that changes meanwhile.
fn crowd(threads: u64, cap: u64, failing: u64, seed: u64) {
    let model = Arc::new(Model::new(PAGES, cap, PolicyKind::TwoQueue, threads));
    model.failing.store(failing, Ordering::Relaxed);
    let all: Vec<_> = (0..threads)
        .map(|own| {
            let model = Arc::clone(&model);
            thread::spawn(move || work(&model, own, seed))
        })
        .collect();
    all.into_iter().for_each(|thread| thread.join().expect("its assertions hold"));
    model.check();
}

fn work(model: &Model, own: u64, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (own + 1) << 17 | 1;
    let mut written: HashMap<VirtAddr, u8> = HashMap::new();
    for i in 0..TOUCHES {
        let page = BASE.plus((next(&mut state) >> 9) % (PAGES - 1));
        let addr = VirtAddr(page.start().0 + own);
        let value = (next(&mut state) >> 9).is_multiple_of(2).then_some((i + 1) as u8);
        let expected = match (model.part(page), value) {
            (Some(Part::Text | Part::ReadOnly), Some(_)) => Answer::Refused(Outcome::Denied),
            _ => Answer::Byte(*written.get(&addr).unwrap_or(&model.first_byte(addr))),
        };
        match (model.touch(addr, value), value) {
            (Answer::Refused(Outcome::Unreadable), _) if model.failing.load(Ordering::Relaxed) != 0 => {}
            (answer, value) => {
                assert_eq!(answer, expected, "{addr:?} {value:?}");
                if let (Answer::Byte(_), Some(value)) = (answer, value) {
                    written.insert(addr, value);
                }
            }
        }
        match (own, i % 4) {
            (0, 1) => {
                model.cap.store(1 + (next(&mut state) >> 9) % 4, Ordering::SeqCst);
                evict::keep_to_cap(model);
            }
            (1, 2) => fill::give_up_slot(model, page),
            (1, 3) => lock(&model.pinned, |pinned| *pinned = vec![page]),
            _ => {}
        }
    }
    lock(&model.pinned, Vec::clear);
}

/// Runs `test` in schedules that `scheduler` chooses, each thread on a stack for pages.
fn explore(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(scheduler, config).run(test);
}

#[test]
fn two_threads_at_random() {
    explore(RandomScheduler::new(schedules(300)), || crowd(2, 2, 0, 1));
}

#[test]
fn three_threads_with_devices_that_fail() {
    explore(RandomScheduler::new(schedules(150)), || crowd(3, 3, 4, 2));
}

#[test]
fn two_threads_with_few_changes_between_them() {
    explore(PctScheduler::new(3, schedules(300)), || crowd(2, 1, 0, 3));
}
