//! The swap slot map against a naive model, and under threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use pager_core::slots::{Released, SlotError, SlotMap, SlotRun, checksum};
use proptest::collection::vec;
use proptest::prelude::*;

struct Memory {
    owners: Vec<AtomicU8>,
    used: AtomicU64,
    peak: AtomicU64,
    hint: AtomicU64,
}

impl Memory {
    fn new(slots: usize) -> Memory {
        Memory {
            owners: (0..slots).map(|_| AtomicU8::new(0)).collect(),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            hint: AtomicU64::new(0),
        }
    }

    fn map(&self) -> SlotMap<'_> {
        SlotMap { owners: &self.owners, used: &self.used, peak: &self.peak, hint: &self.hint }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(u32),
    Share(usize),
    Release(usize),
    Hint(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..12u32).prop_map(Step::Allocate),
        2 => any::<usize>().prop_map(Step::Share),
        4 => any::<usize>().prop_map(Step::Release),
        1 => any::<u64>().prop_map(Step::Hint),
    ]
}

/// The length of the longest run of free slots.
fn longest_free(model: &BTreeMap<u32, u8>, slots: u32) -> u32 {
    let mut longest = 0;
    let mut run = 0;
    for slot in 0..slots {
        run = if model.contains_key(&slot) { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    longest
}

fn pick(model: &BTreeMap<u32, u8>, index: usize) -> Option<u32> {
    model.keys().nth(index % model.len().max(1)).copied()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_map_says_what_the_model_says(slots in 1..64u32, steps in vec(step(), 1..200)) {
        let memory = Memory::new(slots as usize);
        let map = memory.map();
        let mut model: BTreeMap<u32, u8> = BTreeMap::new();
        let mut peak = 0;
        for step in steps {
            match step {
                Step::Allocate(wanted) => match map.allocate(wanted) {
                    None => prop_assert_eq!(model.len(), slots as usize, "none although a slot is free"),
                    Some(SlotRun { first, count }) => {
                        // A search that starts inside a free run may see it as two.
                        let longest = longest_free(&model, slots);
                        prop_assert!(count == wanted || count >= longest.div_ceil(2) && count < wanted);
                        for slot in first..first + count {
                            prop_assert!(slot < slots);
                            prop_assert_eq!(model.insert(slot, 1), None, "slot {} was taken", slot);
                        }
                    }
                },
                Step::Share(index) => match pick(&model, index) {
                    None => prop_assert_eq!(map.share(0), Err(SlotError::Unowned { slot: 0 })),
                    Some(slot) => {
                        map.share(slot).unwrap();
                        *model.get_mut(&slot).unwrap() += 1;
                    }
                },
                Step::Release(index) => if let Some(slot) = pick(&model, index) {
                    let owners = model.get_mut(&slot).unwrap();
                    *owners -= 1;
                    let free = *owners == 0;
                    prop_assert_eq!(map.release(slot), if free { Released::Free } else { Released::StillOwned });
                    if free {
                        model.remove(&slot);
                    }
                },
                Step::Hint(hint) => memory.hint.store(hint, Ordering::Relaxed),
            }
            peak = peak.max(model.len() as u64);
            for slot in 0..slots {
                prop_assert_eq!(map.owners(slot), model.get(&slot).copied().unwrap_or(0));
            }
            prop_assert_eq!(memory.used.load(Ordering::Relaxed), model.len() as u64);
            prop_assert_eq!(memory.peak.load(Ordering::Relaxed), peak);
        }
    }
}

#[test]
fn owners_saturate_and_never_wrap() {
    let memory = Memory::new(3);
    let map = memory.map();
    let slot = map.allocate(1).unwrap().first;
    for _ in 1..255 {
        map.share(slot).unwrap();
    }
    assert_eq!(map.share(slot), Err(SlotError::Saturated { slot }));
    assert_eq!(map.owners(slot), 255);
    for _ in 1..255 {
        assert_eq!(map.release(slot), Released::StillOwned);
    }
    assert_eq!(map.release(slot), Released::Free);
    assert_eq!(map.share(slot), Err(SlotError::Unowned { slot }));
    assert_eq!(map.share(99), Err(SlotError::Unowned { slot: 99 }));
}

#[test]
fn runs_follow_each_other_and_long_ones_are_preferred() {
    let memory = Memory::new(10_000);
    let map = memory.map();
    for round in 0..100 {
        assert_eq!(map.allocate(100), Some(SlotRun { first: round * 100, count: 100 }));
    }
    assert_eq!(map.allocate(1), None);
    assert_eq!(map.release(17), Released::Free);
    (400..420).for_each(|slot| assert_eq!(map.release(slot), Released::Free));
    assert_eq!(map.allocate(16), Some(SlotRun { first: 400, count: 16 }));
    assert_eq!(map.allocate(16), Some(SlotRun { first: 416, count: 4 }));
    assert_eq!(map.allocate(16), Some(SlotRun { first: 17, count: 1 }));
    assert_eq!(map.allocate(16), None);
    assert_eq!(map.allocate(0), None);
    assert_eq!(Memory::new(0).map().allocate(1), None);
}

#[test]
fn no_slot_is_given_to_two_threads() {
    const SLOTS: usize = 300;
    const THREADS: usize = 4;
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    let memory = Memory::new(SLOTS);
    let holders: Vec<AtomicU64> = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 1..=THREADS as u64 {
            let (memory, holders) = (&memory, &holders);
            scope.spawn(move || churn(memory.map(), holders, thread, rounds));
        }
    });
    assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    assert!(memory.peak.load(Ordering::Relaxed) <= SLOTS as u64);
    assert!(memory.owners.iter().all(|owners| owners.load(Ordering::Relaxed) == 0));
}

/// Allocates and releases; a slot that another thread holds at the same time is found out by `holders`.
fn churn(map: SlotMap<'_>, holders: &[AtomicU64], thread: u64, rounds: u64) {
    let mut held: Vec<u32> = Vec::new();
    for round in 0..rounds {
        if let Some(run) = map.allocate((round * thread % 17 + 1) as u32) {
            for slot in run.first..run.first + run.count {
                let before = holders[slot as usize].swap(thread, Ordering::AcqRel);
                assert_eq!(before, 0, "slot {slot} was given to {before} and {thread}");
                held.push(slot);
            }
        }
        let keep = if round + 1 == rounds { 0 } else { held.len().min((round % 60) as usize) };
        for slot in held.drain(keep..) {
            assert_eq!(holders[slot as usize].swap(0, Ordering::AcqRel), thread);
            assert_eq!(map.release(slot), Released::Free);
        }
    }
}

#[test]
fn a_changed_bit_changes_the_checksum() {
    let mut page = [0u8; 4096];
    let zero = checksum(&page);
    for at in [0, 1, 2047, 4095] {
        page[at] ^= 0x10;
        assert_ne!(checksum(&page), zero, "bit at {at}");
        page[at] ^= 0x10;
    }
    assert_eq!(checksum(&page), zero);
    assert_eq!(zero, 0x48c6_89ba, "slots must stay readable by later builds");
}
