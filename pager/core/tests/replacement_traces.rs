//! How many misses each policy has on traces of known shape, beside policies that see every reference and one
//! that sees the future.
//!
//! Run with `--nocapture` for the table. Only relations that must hold whatever the tuning are asserted.

use std::collections::{BTreeSet, HashMap, HashSet};

use pager_core::addr::PageNum;
use pager_core::replacement::{Fifo, Install, Policy, TwoQueue};

const CAP: usize = 1024;

/// A small deterministic generator (SplitMix64): traces must be the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `len` references to `pages` pages, the rank-th most used with a probability of `1 / rank^skew`; ranks are
/// scattered over the pages.
fn zipf(pages: usize, skew: f64, len: usize, random: &mut Random) -> Vec<u64> {
    let mut sums = Vec::with_capacity(pages);
    let mut sum = 0.0;
    for rank in 1..=pages {
        sum += (rank as f64).powf(-skew);
        sums.push(sum);
    }
    let mut page_of: Vec<u64> = (0..pages as u64).collect();
    for i in (1..pages).rev() {
        page_of.swap(i, (random.next() % (i as u64 + 1)) as usize);
    }
    (0..len)
        .map(|_| {
            let at = random.unit() * sum;
            page_of[sums.partition_point(|&below| below < at).min(pages - 1)]
        })
        .collect()
}

/// References to a hot set with a long scan of new pages in between, again and again.
fn hot_set_and_scans(random: &mut Random) -> Vec<u64> {
    let mut trace = Vec::new();
    let mut scanned = 1_000_000;
    for _ in 0..20 {
        for _ in 0..20_000 {
            trace.push(random.next() % 600);
        }
        trace.extend(scanned..scanned + 3000);
        scanned += 3000;
    }
    trace
}

/// A hot set, and a loop over more than fits, mixed.
fn hot_set_and_loop(random: &mut Random) -> Vec<u64> {
    let mut at = 0;
    (0..300_000)
        .map(|_| {
            if random.next() % 100 < 60 {
                return random.next() % 500;
            }
            at = (at + 1) % 4000;
            10_000 + at
        })
        .collect()
}

fn sequential_loop(pages: u64, rounds: usize) -> Vec<u64> {
    (0..rounds).flat_map(|_| 0..pages).collect()
}

/// Misses of a policy that is only told of misses, with victims taken `batch` at a time.
fn misses(mut policy: impl Policy, batch: usize, trace: &[u64]) -> usize {
    let mut resident: HashSet<u64> = HashSet::new();
    let mut evicted: HashSet<u64> = HashSet::new();
    let mut victims = Vec::new();
    let mut misses = 0;
    for &page in trace {
        if resident.contains(&page) {
            continue;
        }
        misses += 1;
        if resident.len() == CAP {
            policy.victims(batch, |page| resident.contains(&page.0), &mut victims);
            assert_eq!(victims.len(), batch, "enough pages were tracked");
            for victim in victims.drain(..) {
                assert!(resident.remove(&victim.0), "{victim:?} came out twice");
                evicted.insert(victim.0);
            }
        }
        resident.insert(page);
        let how = if evicted.contains(&page) { Install::Refault } else { Install::First };
        policy.installed(PageNum(page), how);
        assert_eq!(policy.len(), resident.len());
    }
    misses
}

fn least_recently_used(trace: &[u64]) -> usize {
    let mut last_use: HashMap<u64, usize> = HashMap::new();
    let mut by_use: BTreeSet<(usize, u64)> = BTreeSet::new();
    let mut misses = 0;
    for (now, &page) in trace.iter().enumerate() {
        match last_use.insert(page, now) {
            Some(before) if by_use.remove(&(before, page)) => {}
            _ => {
                misses += 1;
                if by_use.len() == CAP {
                    by_use.pop_first();
                }
            }
        }
        by_use.insert((now, page));
    }
    misses
}

fn clock(trace: &[u64]) -> usize {
    let mut frames: Vec<(u64, bool)> = Vec::new();
    let mut frame_of: HashMap<u64, usize> = HashMap::new();
    let mut hand = 0;
    let mut misses = 0;
    for &page in trace {
        if let Some(&frame) = frame_of.get(&page) {
            frames[frame].1 = true;
            continue;
        }
        misses += 1;
        if frames.len() < CAP {
            frame_of.insert(page, frames.len());
            frames.push((page, false));
            continue;
        }
        while frames[hand].1 {
            frames[hand].1 = false;
            hand = (hand + 1) % CAP;
        }
        frame_of.remove(&frames[hand].0);
        frames[hand] = (page, false);
        frame_of.insert(page, hand);
        hand = (hand + 1) % CAP;
    }
    misses
}

/// Belady's optimum: the page used again last goes first.
fn optimum(trace: &[u64]) -> usize {
    let mut next_use = vec![usize::MAX; trace.len()];
    let mut seen: HashMap<u64, usize> = HashMap::new();
    for (now, &page) in trace.iter().enumerate().rev() {
        next_use[now] = seen.insert(page, now).unwrap_or(usize::MAX);
    }
    let mut by_next: BTreeSet<(usize, u64)> = BTreeSet::new();
    let mut next_of: HashMap<u64, usize> = HashMap::new();
    let mut misses = 0;
    for (now, &page) in trace.iter().enumerate() {
        match next_of.remove(&page) {
            Some(next) => {
                by_next.remove(&(next, page));
            }
            None => {
                misses += 1;
                if by_next.len() == CAP
                    && let Some((_, victim)) = by_next.pop_last()
                {
                    next_of.remove(&victim);
                }
            }
        }
        by_next.insert((next_use[now], page));
        next_of.insert(page, next_use[now]);
    }
    misses
}

struct Row {
    fifo: usize,
    two_queue: usize,
    two_queue_batched: usize,
    lru: usize,
    optimum: usize,
}

fn compare(name: &str, trace: &[u64]) -> Row {
    let cap = CAP as u64;
    let row = Row {
        fifo: misses(Fifo::new(cap), 1, trace),
        two_queue: misses(TwoQueue::new(cap), 1, trace),
        two_queue_batched: misses(TwoQueue::new(cap), 32, trace),
        lru: least_recently_used(trace),
        optimum: optimum(trace),
    };
    let fifo_batched = misses(Fifo::new(cap), 32, trace);
    let clock = clock(trace);
    println!(
        "{name:24} {:8} {:8} {:8} {fifo_batched:8} {:8} {:8} {clock:8} {:8}",
        trace.len(),
        row.fifo,
        row.two_queue,
        row.two_queue_batched,
        row.lru,
        row.optimum
    );
    assert!(row.optimum <= row.fifo.min(row.two_queue).min(row.two_queue_batched).min(row.lru));
    row
}

fn head() {
    println!(
        "{:24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "trace", "length", "fifo", "2q", "fifo/32", "2q/32", "lru", "clock", "optimum"
    );
}

#[test]
fn two_queue_beats_fifo_where_pages_differ_in_use() {
    head();
    let random = &mut Random(1);
    for skew in [0.7, 0.9, 1.1] {
        let row = compare(&format!("zipf {skew}"), &zipf(10_000, skew, 300_000, random));
        assert!(row.two_queue <= row.fifo);
    }
    // The scans push everything out, whatever the order: nobody here gains anything.
    let row = compare("hot set and scans", &hot_set_and_scans(random));
    assert!(row.two_queue <= row.fifo + row.fifo / 1000);
    let row = compare("hot set and loop", &hot_set_and_loop(random));
    assert!(row.two_queue <= row.fifo);
}

/// A dictionary coder: a window that is always in use, and a table of which any page may be next.
fn window_and_table(random: &mut Random) -> Vec<u64> {
    (0..600_000)
        .map(|_| if random.next() % 100 < 80 { random.next() % 400 } else { 1000 + random.next() % 2000 })
        .collect()
}

#[test]
fn what_is_missed_again_and_again_stays() {
    head();
    let row = compare("window and table", &window_and_table(&mut Random(2)));
    assert!(row.two_queue_batched < row.lru + row.lru / 8, "the window is hardly ever missed");
}

#[test]
fn pages_that_are_out_of_use_go_though_they_had_been_in_use_much() {
    head();
    let before = zipf(3000, 0.9, 300_000, &mut Random(3));
    let moved_on: Vec<u64> = before.iter().copied().chain((0..100).flat_map(|_| 100_000..100_900)).collect();
    let cap = CAP as u64;
    for batch in [1, 32] {
        let after = misses(TwoQueue::new(cap), batch, &moved_on) - misses(TwoQueue::new(cap), batch, &before);
        println!(
            "{after} misses in 100 rounds over 900 pages, which all fit, victims taken {batch} at a time"
        );
        assert!(after < 30 * 900);
    }
}

#[test]
fn loops_and_scans_cost_no_more_than_their_length() {
    head();
    for (name, trace) in [
        ("loop that fits", sequential_loop(1000, 100)),
        ("loop of 1.2 caps", sequential_loop(1229, 100)),
        ("loop of 2 caps", sequential_loop(2048, 100)),
        ("loop of 8 caps", sequential_loop(8192, 20)),
        ("one scan", sequential_loop(100_000, 1)),
    ] {
        let row = compare(name, &trace);
        assert!(row.two_queue <= trace.len());
    }
    assert_eq!(misses(TwoQueue::new(CAP as u64), 1, &sequential_loop(1000, 100)), 1000);
}
