//! How long a request is on its way besides what we do with it: until we have it, and until its client runs again with the answer.
//!
//! Neither is ours to see, but their sum is: a thread that reads one piece after the other comes back that much after its last answer
//! was sent. So a latency of 1 ms can be 1 ms for the client, and not that and the way. Threads that do something between their
//! requests come back later; what counts is therefore the time that half of them do not reach, and never more than [`longest`].

use std::collections::HashMap;

use crate::throttle::Nanos;

/// Requests are told apart by the size of their transfers, in powers of two.
const CLASSES: usize = 25;
/// Threads whose last answers are remembered before all are forgotten.
const MOST_THREADS: usize = 1024;
/// How far one observation moves an estimate at least; as far up as down settles where half are below.
const STEP: u64 = 500;
/// The part of the estimate that it moves besides, so that long ones are found in time.
const STEP_PART: u64 = 64;
/// One who comes back later than this has done something in between, or was not let run.
const LONGEST_ALONE: u64 = 150_000;

/// What was seen of ways.
#[derive(Debug)]
pub(super) struct Ways {
    /// When the last answer of each thread was sent, and of which class it was.
    sent: HashMap<u32, (Nanos, usize)>,
    estimates: [u64; CLASSES],
}

impl Default for Ways {
    fn default() -> Self {
        Ways { sent: HashMap::new(), estimates: [0; CLASSES] }
    }
}

impl Ways {
    /// A request of a thread arrives.
    pub(super) fn arrive(&mut self, thread: u32, now: Nanos) {
        let Some((sent, class)) = self.sent.remove(&thread) else { return };
        let (way, longest) = (now.before(sent).0, longest(class));
        // One that came before its thread had its answer says nothing.
        if now < sent || way > longest {
            return;
        }
        let estimate = &mut self.estimates[class];
        let step = STEP + *estimate / STEP_PART;
        *estimate = match *estimate {
            // The first one seen is better than none.
            0 => way,
            _ if way > *estimate => (*estimate + step).min(way),
            _ => estimate.saturating_sub(step).max(way),
        };
    }

    /// The answer to a thread's request for `bytes` is being sent at `now`.
    pub(super) fn send(&mut self, thread: u32, bytes: u64, now: Nanos) {
        if self.sent.len() >= MOST_THREADS {
            self.sent.clear();
        }
        self.sent.insert(thread, (now, class(bytes)));
    }

    /// How long a request for `bytes` is on its way.
    pub(super) fn of(&self, bytes: u64) -> Nanos {
        Nanos(self.estimates[class(bytes)])
    }
}

fn class(bytes: u64) -> usize {
    (bytes.max(1).ilog2() as usize).min(CLASSES - 1)
}

/// The longest way of a class that is believed: copying takes a nanosecond a byte where it takes long.
fn longest(class: usize) -> u64 {
    LONGEST_ALONE + (1 << class)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate after a thread came back so late, again and again.
    fn after(gaps: &[u64], rounds: usize) -> u64 {
        let (mut ways, mut now) = (Ways::default(), Nanos(0));
        for gap in gaps.iter().cycle().take(rounds * gaps.len()) {
            ways.arrive(1, now);
            now = now.after(Nanos(1_000_000));
            ways.send(1, 4096, now);
            now = now.after(Nanos(*gap));
        }
        assert_eq!(ways.of(1 << 20), Nanos(0), "sizes are apart");
        ways.of(4096).0
    }

    #[test]
    fn the_way_is_what_half_do_not_reach() {
        assert_eq!(after(&[40_000], 200), 40_000);
        let mixed = after(&[90_000, 30_000, 50_000, 60_000, 140_000], 200);
        assert!((55_000..=65_000).contains(&mixed), "{mixed}");
    }

    #[test]
    fn who_does_something_in_between_is_not_believed() {
        assert_eq!(after(&[2_000_000], 50), 0);
        assert_eq!(after(&[40_000, 2_000_000], 200), 40_000);
    }

    #[test]
    fn threads_are_forgotten_in_time() {
        let mut ways = Ways::default();
        (0..10_000).for_each(|thread| ways.send(thread, 1, Nanos(0)));
        assert!(ways.sent.len() <= MOST_THREADS);
    }
}
