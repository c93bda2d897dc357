//! Replacement policies against naive models: what comes out, in what order, and how much memory it takes.

use std::collections::{BTreeSet, HashSet};

use pager_core::addr::{PageNum, PageRange};
use pager_core::replacement::{Fifo, Install, Policy, PolicyKind, Replacement, TwoQueue};
use proptest::collection::vec;
use proptest::prelude::*;

const PAGES: u64 = 96;

#[derive(Clone, Debug)]
enum Step {
    Install(u64, Install),
    Victims(usize),
    Forget(u64, u64),
    /// Unmapped without a word to the policy.
    Vanish(u64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![Just(Install::First), Just(Install::Refault), Just(Install::Around)];
    prop_oneof![
        8 => (0..PAGES, how).prop_map(|(page, how)| Step::Install(page, how)),
        2 => (0..12usize).prop_map(Step::Victims),
        1 => (0..PAGES, 1..200u64).prop_map(|(start, count)| Step::Forget(start, count)),
        2 => (0..PAGES).prop_map(Step::Vanish),
        1 => Just(Step::Sweep),
    ]
}

fn range(start: u64, count: u64) -> PageRange {
    PageRange::with_count(PageNum(start), count).unwrap()
}

/// First in, first out, on a plain vector.
#[derive(Default)]
struct Queue(Vec<u64>);

impl Queue {
    fn install(&mut self, page: u64) {
        self.0.retain(|&other| other != page);
        self.0.push(page);
    }

    fn victims(&mut self, wanted: usize, resident: &HashSet<u64>) -> Vec<u64> {
        let mut out = Vec::new();
        while out.len() < wanted && !self.0.is_empty() {
            let page = self.0.remove(0);
            if resident.contains(&page) {
                out.push(page);
            }
        }
        out
    }
}

fn run(
    policy: &mut impl Policy,
    steps: &[Step],
    mut compare: impl FnMut(&Step, &HashSet<u64>, &[u64], usize),
) {
    let mut resident: HashSet<u64> = HashSet::new();
    let mut tracked: BTreeSet<u64> = BTreeSet::new();
    for step in steps {
        let mut out = Vec::new();
        let before = resident.clone();
        match step {
            Step::Install(page, how) => {
                resident.insert(*page);
                tracked.insert(*page);
                policy.installed(PageNum(*page), *how);
            }
            Step::Victims(wanted) => {
                policy.victims(*wanted, |page| resident.contains(&page.0), &mut out);
                let kept = tracked.intersection(&before.iter().copied().collect()).count();
                assert_eq!(out.len(), kept.min(*wanted), "as many as there are");
                for page in &out {
                    assert!(
                        tracked.remove(&page.0) && resident.remove(&page.0),
                        "{page:?} came out of nothing or twice"
                    );
                }
            }
            Step::Forget(start, count) => {
                policy.forget(range(*start, *count));
                resident.retain(|page| !(*start..start + count).contains(page));
                tracked.retain(|page| !(*start..start + count).contains(page));
            }
            Step::Vanish(page) => {
                resident.remove(page);
            }
            Step::Sweep => {
                policy.sweep(|page| resident.contains(&page.0));
                tracked.retain(|page| resident.contains(page));
            }
        }
        let out: Vec<u64> = out.into_iter().map(|page| page.0).collect();
        compare(step, &before, &out, policy.len());
        // Which pages that are not resident are still tracked depends on how far a search for victims went.
        assert!(policy.len() <= tracked.len());
        assert!(policy.len() >= tracked.intersection(&resident.iter().copied().collect()).count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn fifo_is_first_in_first_out(steps in vec(step(), 0..300)) {
        let mut model = Queue::default();
        run(&mut Fifo::new(64), &steps, |step, resident, out, len| {
            match step {
                Step::Install(page, _) => model.install(*page),
                Step::Victims(wanted) => assert_eq!(model.victims(*wanted, resident), out),
                Step::Forget(start, count) => model.0.retain(|page| !(*start..start + count).contains(page)),
                Step::Sweep => model.0.retain(|page| resident.contains(page)),
                Step::Vanish(_) => {}
            }
            assert_eq!(model.0.len(), len);
        });
    }

    #[test]
    fn two_queue_tracks_every_resident_page_once(cap in 1..200u64, steps in vec(step(), 0..300)) {
        run(&mut TwoQueue::new(cap), &steps, |_, _, _, _| {});
    }
}

fn drain(policy: &mut impl Policy, wanted: usize) -> Vec<u64> {
    let mut out = Vec::new();
    policy.victims(wanted, |_| true, &mut out);
    out.into_iter().map(|page| page.0).collect()
}

#[test]
fn a_page_missed_soon_after_it_went_is_protected() {
    let mut policy = TwoQueue::new(8);
    (0..8).for_each(|page| policy.installed(PageNum(page * 100), Install::First));
    assert_eq!(drain(&mut policy, 1), [0]);
    policy.installed(PageNum(0), Install::Refault);
    // All that is on probation beyond its quarter goes before the protected page does.
    (8..20).for_each(|page| {
        assert_ne!(drain(&mut policy, 1), [0]);
        policy.installed(PageNum(page * 100), Install::First);
    });
}

#[test]
fn a_page_that_only_came_along_is_not_protected() {
    let mut policy = TwoQueue::new(8);
    (0..8).for_each(|page| policy.installed(PageNum(page * 100), Install::First));
    assert_eq!(drain(&mut policy, 1), [0]);
    policy.installed(PageNum(0), Install::Around);
    policy.installed(PageNum(800), Install::First);
    assert_eq!(drain(&mut policy, 9), [100, 200, 300, 400, 500, 600, 700, 0, 800]);
}

#[test]
fn what_is_put_back_goes_last() {
    for kind in [PolicyKind::Fifo, PolicyKind::TwoQueue] {
        let mut policy = Replacement::new(kind, 100);
        (0..10).for_each(|page| policy.installed(PageNum(page * 100), Install::First));
        assert_eq!(drain(&mut policy, 1), [0]);
        policy.put_back(PageNum(0));
        let all = drain(&mut policy, 100);
        assert_eq!((all.len(), all.last()), (10, Some(&0)), "{kind:?}");
        assert!(policy.is_empty());
    }
}

#[test]
fn old_pages_of_a_cluster_go_together_in_order() {
    let mut policy = TwoQueue::new(1000);
    for page in [35, 900, 33, 700, 40] {
        policy.installed(PageNum(page), Install::First);
    }
    (1000..1200).for_each(|page| policy.installed(PageNum(page), Install::First));
    policy.installed(PageNum(34), Install::First);
    assert_eq!(drain(&mut policy, 8)[..5], [33, 35, 40, 900, 700], "34 is too young");
}

#[test]
fn a_cap_of_one_page_works() {
    for kind in [PolicyKind::Fifo, PolicyKind::TwoQueue] {
        let mut policy = Replacement::new(kind, 1);
        for page in 0..100 {
            policy.installed(PageNum(page % 3), Install::First);
            assert_eq!(drain(&mut policy, 1), [page % 3]);
        }
    }
}

#[test]
fn without_a_cap_nothing_is_tracked() {
    let mut policy = TwoQueue::new(u64::MAX);
    (0..1000).for_each(|page| policy.installed(PageNum(page), Install::First));
    policy.put_back(PageNum(3));
    assert_eq!((policy.len(), policy.memory_bytes()), (0, 0));
}

/// A program that maps, touches and unmaps for ever, or whose pages are installed again and again, must not
/// make the queues grow.
#[test]
fn churn_does_not_grow_the_memory() {
    let mut policy = TwoQueue::new(1000);
    for page in 0..1000 {
        policy.installed(PageNum(page), Install::First);
    }
    let before = policy.memory_bytes();
    for round in 0..300_000u64 {
        policy.installed(PageNum(round * 7 % 1000), Install::Refault);
        policy.installed(PageNum(1_000_000 + round), Install::First);
        policy.forget(range(1_000_000 + round, 1));
    }
    assert_eq!(policy.len(), 1000);
    assert!(policy.memory_bytes() <= before + 4 * 4096, "{} bytes, {before} before", policy.memory_bytes());
}

/// The same for a caller that never forgets, but sweeps when asked to.
#[test]
fn sweeping_bounds_the_memory_of_a_caller_that_does_not_forget() {
    for kind in [PolicyKind::Fifo, PolicyKind::TwoQueue] {
        let mut policy = Replacement::new(kind, 1000);
        let mut sweeps = 0;
        for page in 0..100_000 {
            policy.installed(PageNum(page), Install::First);
            if policy.overgrown() {
                policy.sweep(|other| other.0 + 500 > page);
                sweeps += 1;
                assert_eq!(policy.len(), 500);
            }
        }
        assert!((1..=100_000 / 2000).contains(&sweeps), "{sweeps} sweeps");
        assert!(policy.memory_bytes() < 100_000, "{} bytes", policy.memory_bytes());
    }
}

#[test]
fn a_page_costs_at_most_sixteen_bytes() {
    for cap in [100usize, 8192, 20_000, 65_536, 1_000_000] {
        let mut policy = TwoQueue::new(cap as u64);
        let mut most = 0;
        for round in 0..3 * cap as u64 {
            if policy.len() == cap {
                drain(&mut policy, 32);
            }
            // Scattered over more than the cap, now and then one that is tracked still: queues, holes and
            // ghosts all fill.
            let mixed = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let page = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
            policy.installed(PageNum(page % (cap as u64 * 4 / 3)), Install::First);
            most = most.max(policy.memory_bytes());
        }
        println!("cap {cap}: at most {most} bytes, {:.2} a page", most as f64 / cap as f64);
        assert!(most <= 16 * cap + (32 << 10), "cap {cap}: {most} bytes");
    }
}
