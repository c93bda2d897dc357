//! Whose request is next: start-time fair queueing (Goyal, Vin and Cheng, "Start-time fair queuing", SIGCOMM
//! 1996).
//!
//! Each flow has its requests one after the other in virtual time: one starts where the flow's last one
//! finishes, or now, whichever is later, and finishes after its cost. The earliest start is next, and virtual
//! time is the start of the last one taken. So a flow with a thousand requests waiting and one with a single
//! request take turns, by cost and not by count, and a flow that was idle has saved nothing up.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Who shares: a file, as used by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Any number that tells files apart.
    pub file: u64,
    /// The process; 0 for the kernel.
    pub pid: u32,
}

/// So many flows are remembered before those that are even with the others are forgotten.
const FLOWS_KEPT: usize = 64;

/// Items of several flows in the order in which they are to be served.
#[derive(Debug)]
pub struct FairQueue<T> {
    waiting: BinaryHeap<Reverse<Entry<T>>>,
    /// Where each flow's last item finishes; flows that are not here finish before now.
    finishes: HashMap<Flow, u64>,
    now: u64,
    pushed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    start: u64,
    /// Equal starts keep their order.
    order: u64,
    item: T,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        FairQueue { waiting: BinaryHeap::new(), finishes: HashMap::new(), now: 0, pushed: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Adds an item of `flow` that costs `cost`, in any unit that is the same for all.
    pub fn push(&mut self, flow: Flow, cost: u64, item: T) {
        if self.finishes.len() >= FLOWS_KEPT.max(2 * self.waiting.len()) {
            self.finishes.retain(|_, finish| *finish > self.now);
        }
        let finish = self.finishes.entry(flow).or_default();
        let start = self.now.max(*finish);
        *finish = start.saturating_add(cost);
        self.waiting.push(Reverse(Entry { start, order: self.pushed, item }));
        self.pushed += 1;
    }

    /// Takes the next item.
    pub fn pop(&mut self) -> Option<T> {
        let Reverse(entry) = self.waiting.pop()?;
        self.now = entry.start;
        Some(entry.item)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.order) == (other.start, other.order)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.start, self.order).cmp(&(other.start, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flow(file: u64) -> Flow {
        Flow { file, pid: 1 }
    }

    #[test]
    fn a_flow_of_many_and_a_flow_of_one_take_turns() {
        let mut queue = FairQueue::default();
        (0..100).for_each(|_| queue.push(flow(1), 10, 1));
        (0..3).for_each(|_| queue.push(flow(2), 10, 2));
        let order: Vec<i32> = (0..7).filter_map(|_| queue.pop()).collect();
        assert_eq!(order, [1, 2, 1, 2, 1, 2, 1]);
    }

    #[test]
    fn who_was_idle_has_saved_nothing_up() {
        let mut queue = FairQueue::default();
        (0..50).for_each(|_| queue.push(flow(1), 10, 1));
        (0..40).for_each(|_| assert_eq!(queue.pop(), Some(1)));
        (0..40).for_each(|_| queue.push(flow(2), 10, 2));
        let next: Vec<i32> = (0..20).filter_map(|_| queue.pop()).collect();
        assert!((9..=11).contains(&next.iter().filter(|n| **n == 2).count()), "{next:?}");
    }

    #[test]
    fn flows_that_are_done_are_forgotten() {
        let mut queue = FairQueue::default();
        for file in 0..10_000 {
            queue.push(flow(file), 10, ());
            queue.push(flow(file), 10, ());
            queue.pop();
            queue.pop();
        }
        assert!(queue.finishes.len() <= FLOWS_KEPT + 1);
    }

    proptest! {
        /// While two flows have requests waiting, what they were given differs by no more than their largest
        /// requests' costs (theorem 1 of the paper).
        #[test]
        fn shares_differ_by_two_requests_at_most(costs in proptest::collection::vec((1u64..1000, 1u64..1000), 10..100)) {
            let mut queue = FairQueue::default();
            for (a, b) in &costs {
                queue.push(flow(1), *a, (0, *a));
                queue.push(flow(2), *b, (1, *b));
            }
            let (mut given, mut left) = ([0u64; 2], [costs.len(); 2]);
            while let Some((who, cost)) = queue.pop() {
                given[who] += cost;
                left[who] -= 1;
                if left[0] > 0 && left[1] > 0 {
                    prop_assert!(given[0].abs_diff(given[1]) <= 2000);
                }
            }
        }
    }
}
