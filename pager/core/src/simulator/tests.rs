//! The policies against naive ones, against each other, and against the optimum.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::optimum;
use super::policies::PolicyName;
use super::stack::Distances;
use super::{Memory, Page, Step};
use crate::area::Access;
use crate::trace::FaultKind;

fn reference(page: u64) -> Step {
    Step::Reference {
        page: Page(page),
        first: Page(page),
        count: 1,
        kind: FaultKind::SwapIn,
        access: Access::Read,
    }
}

fn string() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0u64..40).prop_map(reference),
        1 => (0u64..40, 1u64..8).prop_map(|(first, count)| Step::Forget { first: Page(first), count }),
        1 => (0u64..40, 1u64..6, 50u64..60).prop_map(|(first, count, to)| Step::Move {
            first: Page(first),
            count,
            to: Page(to)
        }),
        1 => Just(Step::ForgetAll { of: Page(0) }),
    ];
    proptest::collection::vec(step, 0..400)
}

/// LRU as a vector, the newest last.
fn naive_lru(capacity: usize, steps: &[Step]) -> u64 {
    let (mut pages, mut misses): (Vec<u64>, u64) = (Vec::new(), 0);
    for step in steps {
        match *step {
            Step::Reference { page, .. } => {
                match pages.iter().position(|other| *other == page.0) {
                    Some(at) => drop(pages.remove(at)),
                    None => {
                        misses += 1;
                        if pages.len() == capacity {
                            pages.remove(0);
                        }
                    }
                }
                pages.push(page.0);
            }
            Step::Forget { first, count } => pages.retain(|page| page.wrapping_sub(first.0) >= count),
            Step::Move { .. } => unreachable!("not in these strings"),
            Step::ForgetAll { .. } => pages.clear(),
        }
    }
    misses
}

proptest! {
    #[test]
    fn lru_is_lru(steps in string(), capacity in 1usize..30) {
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Move { .. })).collect();
        let misses = naive_lru(capacity, &steps);
        prop_assert_eq!(Memory::run(PolicyName::Lru, capacity, &steps).total(), misses);
        prop_assert_eq!(Distances::of(&steps).misses(capacity), misses);
    }

    #[test]
    fn no_policy_holds_more_than_it_may_or_beats_the_optimum(steps in string(), capacity in 1usize..30) {
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Move { .. })).collect();
        let least = optimum::run(capacity, &steps);
        prop_assert!(least.peak <= capacity);
        for policy in PolicyName::ALL {
            let misses = Memory::run(policy, capacity, &steps);
            prop_assert!(misses.peak <= capacity, "{:?} holds {}", policy, misses.peak);
            prop_assert!(misses.total() >= least.total(), "{:?}: {} < {}", policy, misses.total(), least.total());
        }
    }

    #[test]
    fn with_room_for_all_only_first_references_miss(steps in string()) {
        let expected = optimum::run(1000, &steps).total();
        prop_assert_eq!(Distances::of(&steps).misses(1000), expected);
        for policy in PolicyName::ALL {
            prop_assert_eq!(Memory::run(policy, 1000, &steps).total(), expected, "{:?}", policy);
        }
    }

    #[test]
    fn what_leaves_was_there_and_comes_again_as_a_miss(steps in string(), capacity in 1usize..20) {
        for policy in PolicyName::ALL {
            let mut memory = Memory::new(policy, capacity);
            for step in &steps {
                memory.step(step);
                let gone = memory.evicted().to_vec();
                for page in gone {
                    let before = memory.misses().total();
                    memory.step(&reference(page.0));
                    prop_assert_eq!(memory.misses().total(), before + 1, "{:?}: {:?} had left", policy, page);
                }
            }
        }
    }
}

/// On a loop that is a fifth larger than the memory, what is best is far from what LRU does.
#[test]
fn a_loop_that_does_not_fit_defeats_lru_and_not_mru() {
    let steps: Vec<Step> = (0..20).flat_map(|_| (0..120).map(reference)).collect();
    let misses = |policy| Memory::run(policy, 100, &steps).total();
    assert_eq!(misses(PolicyName::Lru), 2400);
    assert_eq!(misses(PolicyName::Fifo), 2400);
    let least = optimum::run(100, &steps).total();
    assert!((500..700).contains(&least), "{least}");
    assert!(misses(PolicyName::Mru) < least * 13 / 10);
    assert!(misses(PolicyName::TwoQueue) < 2400);
}

/// A page that is written to shows it once for each time that it comes in to be read.
#[test]
fn a_first_write_costs_a_protection_fault_only_while_the_page_is_clean() {
    let with = |access, kind| Step::Reference { page: Page(1), first: Page(1), count: 1, kind, access };
    let steps = [
        with(Access::Read, FaultKind::SwapIn),
        with(Access::Write, FaultKind::Protection),
        with(Access::Write, FaultKind::Protection),
        with(Access::Read, FaultKind::SwapIn),
    ];
    let misses = Memory::run(PolicyName::Lru, 10, &steps);
    assert_eq!(misses.by_kind, [0, 0, 1, 0, 1]);
}

/// Neighbours that come along take room, and a later reference to them hits.
#[test]
fn what_comes_along_is_there() {
    let run = |page| Step::Reference {
        page: Page(page),
        first: Page(page / 4 * 4),
        count: 4,
        kind: FaultKind::Image,
        access: Access::Read,
    };
    let steps: Vec<Step> = (0..16).map(run).collect();
    for policy in PolicyName::ALL {
        assert_eq!(Memory::run(policy, 8, &steps).by_kind, [4, 0, 0, 0, 0], "{policy:?}");
    }
}
