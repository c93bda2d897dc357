//! How long a request is on its way besides what we do with it: until we have it, and until its client runs
//! again with the answer.
//!
//! Neither is ours to see, but their sum is: a thread that reads one piece after the other comes back that
//! much after its last answer was sent. So a latency of 1 ms can be 1 ms for the client, and not that and the
//! way. Threads that do something between their requests come back later; what counts is therefore the time
//! that half of them do not reach, and never more than [`longest`].
//!
//! What a single answer took besides, on its way or because the processor was not had when it was due, is
//! owed to its thread: the next ones come so much earlier, a little each, and what they take in the mean is
//! what was asked for. One who comes back late did something or was not let run: the latter is believed of
//! one who has come back at once many times before, for a hundredth of what its answers took. Until its
//! answer was written it did nothing.

use std::collections::HashMap;

use crate::throttle::request::OWED_PART;
use crate::throttle::{Nanos, Request};

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

/// The most that is owed to a thread: a processor that was not had for longer is not made up for.
const MOST_OWED: i64 = 100_000_000;
/// Where the longest way is less than so small a part of the latency, an answer may make good that.
const UNSEEN_PART: i64 = 32;
/// The most that a thread owes, whose answers came sooner than they should.
const MOST_GAINED: i64 = 100_000;
/// Of what answers took, so small a part is believed to have been lost by threads that were not let run.
const LOST_PART: i64 = 100;
/// And only of one who comes back at once so many times for each time that he does not.
const PROMPT: u32 = 16;
/// What is kept of a longer row of them.
const MOST_PROMPT: u32 = 64;

/// What was seen of ways.
#[derive(Debug, Default)]
pub(super) struct Ways {
    threads: HashMap<u32, Seen>,
    estimates: [u64; CLASSES],
}

/// What was seen of a thread.
#[derive(Debug, Default)]
struct Seen {
    /// When its last answer was sent, and of which class it was, until it comes back.
    sent: Option<(Nanos, usize)>,
    /// When that was written, where that is known before the thread comes back. So long, it cannot have done
    /// anything.
    written: Option<Nanos>,
    /// How long that was to be in the mount.
    asked: i64,
    /// How much longer its answers took than they should, all together.
    owed: i64,
    /// How many times it has come back at once, less [`PROMPT`] for each time that it did not.
    prompt: u32,
    /// How much of the time that it does not come back may still be owed to it.
    lost: i64,
}

impl Ways {
    /// A request of a thread for `bytes` arrives: how long such a one is on its way, and how much of what is
    /// owed it makes good.
    pub(super) fn arrive(&mut self, thread: u32, bytes: u64, now: Nanos) -> (Nanos, Nanos) {
        let Some(seen) = self.threads.get_mut(&thread) else {
            return (Nanos(self.estimates[class(bytes)]), Nanos(0));
        };
        // One that came before its thread had its answer says nothing.
        if let Some((sent, class)) = seen.sent.take().filter(|(sent, _)| *sent <= now) {
            let (way, estimate) = (now.before(sent).0, &mut self.estimates[class]);
            let more = signed(way) - signed(*estimate);
            let written = seen.written.take().filter(|written| *written <= now);
            if now.before(written.unwrap_or(sent)).0 <= longest(class) {
                seen.owe(more);
                *estimate = moved(*estimate, way.min(longest(class)));
                seen.prompt = (seen.prompt + 1).min(MOST_PROMPT);
            } else if let Some(left) = seen.prompt.checked_sub(PROMPT) {
                let lost = more.min(seen.lost);
                (seen.prompt, seen.lost) = (left, seen.lost - lost);
                seen.owe(lost);
            } else {
                seen.prompt = 0;
            }
        }
        let class = class(bytes);
        let way = self.estimates[class];
        // What was asked of the answer before stands for the latency, which is not known yet. With what is
        // owed, too, none comes earlier than by the longest way, or by a part that nobody sees.
        let unseen = signed(longest(class) - way).max(seen.asked / UNSEEN_PART);
        let most = (seen.asked / OWED_PART as i64).min(unseen);
        let repaid = seen.owed.clamp(-signed(way).min(most), most);
        seen.owed -= repaid;
        (Nanos(way.saturating_add_signed(repaid.min(0))), Nanos(repaid.max(0).unsigned_abs()))
    }

    /// The answer to a thread's request is being sent at `now`, and was due at `at`.
    pub(super) fn send(&mut self, thread: u32, request: &Request, at: Nanos, now: Nanos) {
        if self.threads.len() >= MOST_THREADS && !self.threads.contains_key(&thread) {
            self.threads.clear();
        }
        let seen = self.threads.entry(thread).or_default();
        (seen.sent, seen.written) = (Some((now, class(request.bytes))), None);
        seen.owe(signed(now.before(at).0));
        seen.asked = signed(at.before(request.arrived).0);
        seen.lost = (seen.lost + signed(now.before(request.arrived).0) / LOST_PART).min(MOST_OWED);
    }

    /// The answer to a thread's request has been written.
    pub(super) fn written(&mut self, thread: u32, now: Nanos) {
        if let Some(seen) = self.threads.get_mut(&thread) {
            seen.written = seen.sent.map(|_| now);
        }
    }
}

impl Seen {
    fn owe(&mut self, more: i64) {
        self.owed = self.owed.saturating_add(more).clamp(-MOST_GAINED, MOST_OWED);
    }
}

fn signed(nanos: u64) -> i64 {
    nanos.try_into().unwrap_or(i64::MAX)
}

/// An estimate after a way was seen.
fn moved(estimate: u64, way: u64) -> u64 {
    let step = STEP + estimate / STEP_PART;
    match estimate {
        // The first one seen is better than none.
        0 => way,
        _ if way > estimate => (estimate + step).min(way),
        _ => estimate.saturating_sub(step).max(way),
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
    use crate::throttle::Direction;

    fn request(arrived: Nanos) -> Request {
        Request::sample(Direction::Read, 0, 4096, arrived)
    }

    /// What reads of 1 ms take in the mean, from when the last was answered, and the estimate in the end.
    /// Ways, and delays of answers, are these in turn.
    fn reads_of_1_ms(ways_ns: &[u64], lates_ns: &[u64]) -> (u64, u64) {
        let (mut ways, mut now, rounds) = (Ways::default(), Nanos(0), 10_000);
        for n in 0..rounds {
            let (arrived, (way, owed)) = (now, ways.arrive(1, 4096, now));
            let due = arrived.after(Nanos(1_000_000)).before(way).before(owed);
            now = due.after(Nanos(lates_ns[n % lates_ns.len()]));
            ways.send(1, &request(arrived), due, now);
            now = now.after(Nanos(ways_ns[n % ways_ns.len()]));
        }
        assert_eq!(ways.estimates[class(1 << 20)], 0, "sizes are apart");
        (now.0 / rounds as u64, ways.estimates[class(4096)])
    }

    #[test]
    fn the_way_is_what_half_do_not_reach() {
        assert_eq!(reads_of_1_ms(&[40_000], &[0]).1, 40_000);
        let mixed = reads_of_1_ms(&[90_000, 30_000, 50_000, 60_000, 140_000], &[0]).1;
        assert!((55_000..=65_000).contains(&mixed), "{mixed}");
    }

    #[test]
    fn who_does_something_in_between_is_not_believed() {
        assert_eq!(reads_of_1_ms(&[2_000_000], &[0]), (3_000_000, 0));
        let (cycle, way) = reads_of_1_ms(&[40_000, 2_000_000], &[0]);
        assert!(way == 40_000 && (1_979_900..1_980_100).contains(&cycle), "{cycle}");
        // Nor much where it does not so often: reads of 1 ms come out a hundredth short.
        let (cycle, _) = reads_of_1_ms(&once_in(40, 5_000_000, 40_000), &[0]);
        let thought = (5_000_000 - 40_000) / 40;
        assert!((989_000..=1_000_000).contains(&(cycle - thought)), "{cycle}");
    }

    /// A long time once in so many, else another.
    fn once_in(count: usize, long: u64, usual: u64) -> Vec<u64> {
        (0..count).map(|n| if n == 0 { long } else { usual }).collect()
    }

    #[test]
    fn what_some_answers_took_longer_the_next_ones_take_less() {
        for (ways, lates) in [
            (vec![20_000, 20_000, 25_000, 140_000, 15_000], vec![0]),
            (vec![20_000, 60_000, 100_000], vec![0, 30_000]),
            (vec![20_000], once_in(25, 1_500_000, 0)),
            (once_in(300, 2_000_000, 20_000), vec![0]),
        ] {
            let (mean, _) = reads_of_1_ms(&ways, &lates);
            assert!((999_000..=1_001_000).contains(&mean), "{mean} with ways of {ways:?}, late by {lates:?}");
        }
    }

    /// The mean of reads of 1 ms with a gap in every tenth, which lies before the answer was written, or
    /// after.
    fn with_gaps(before: Nanos, after: Nanos) -> u64 {
        let (mut ways, mut now, rounds) = (Ways::default(), Nanos(0), 10_000);
        for n in 0..rounds {
            let (arrived, (way, owed)) = (now, ways.arrive(1, 4096, now));
            let due = arrived.after(Nanos(1_000_000)).before(way).before(owed);
            ways.send(1, &request(arrived), due, due);
            let gap = |gap| if n % 10 == 0 { gap } else { Nanos(0) };
            now = due.after(Nanos(10_000)).after(gap(before));
            ways.written(1, now);
            now = now.after(Nanos(10_000)).after(gap(after));
        }
        now.0 / rounds
    }

    #[test]
    fn a_thread_did_nothing_before_its_answer_was_written() {
        let (gap, none) = (Nanos(1_000_000), Nanos(0));
        assert!((999_000..=1_001_000).contains(&with_gaps(gap, none)));
        assert!((1_090_000..=1_110_000).contains(&with_gaps(none, gap)), "{}", with_gaps(none, gap));
    }

    #[test]
    fn threads_are_forgotten_in_time() {
        let mut ways = Ways::default();
        (0..10_000).for_each(|thread| ways.send(thread, &request(Nanos(0)), Nanos(0), Nanos(0)));
        assert!(ways.threads.len() <= MOST_THREADS);
    }

    /// The earliest of many answers, in nanoseconds before it should come, where many come late.
    fn earliest(latency: u64) -> u64 {
        let (mut ways, mut now, mut earliest) = (Ways::default(), Nanos(0), 0);
        for n in 0..10_000 {
            let (arrived, (way, owed)) = (now, ways.arrive(1, 4096, now));
            earliest = earliest.max(way.0 + owed.0);
            let due = arrived.after(Nanos(latency)).before(way).before(owed);
            now = due.after(Nanos(n % 7 * 300_000));
            ways.send(1, &request(arrived), due, now);
            now = now.after(Nanos(n * 7919 % 150_000));
        }
        earliest
    }

    #[test]
    fn no_answer_is_earlier_than_by_the_longest_way_or_a_small_part() {
        let longest = longest(class(4096));
        assert!((longest / 2..=longest).contains(&earliest(2_000_000)));
        assert!((900_000..=100_000_000 / 32 + longest).contains(&earliest(100_000_000)));
    }

    #[test]
    fn a_gap_of_a_long_latency_is_made_good() {
        let (mut ways, mut now) = (Ways::default(), Nanos(0));
        for n in 0..100 {
            let (arrived, (way, owed)) = (now, ways.arrive(1, 4096, now));
            let due = arrived.after(Nanos(100_000_000)).before(way).before(owed);
            now = due.after(Nanos(if n == 5 { 80_000_000 } else { 0 }));
            ways.send(1, &request(arrived), due, now);
            now = now.after(Nanos(30_000));
        }
        assert!((100 * 99_900_000..=100 * 100_100_000).contains(&now.0), "{now:?}");
    }
}
