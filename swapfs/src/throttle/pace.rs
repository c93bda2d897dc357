//! The deadline scheduler: when may a request be answered so that a rate holds?
//!
//! A [`Pace`] is a server that works off one request after another, each for as long as its share of the rate
//! takes. It keeps the time at which it is next free, exactly (remainders are carried, so nothing drifts).
//! There is no bucket of tokens that could be full at the start: the first request already waits for its
//! share, so no window ever sees a burst.
//!
//! A client that waits for each answer before it asks again leaves the server idle for the time that its own
//! turn takes. That would come out as a lower rate than asked; so a request may begin in the past, up to
//! [`IDLE_CREDIT`] ago. This is also what takes out the oversleeping of timers: a late answer makes the next
//! request begin that much earlier.

use std::num::NonZeroU64;

use super::nanos::Nanos;

/// How far in the past a request may begin, and so how much of the rate can come at once. On a busy machine a
/// client and our own thread may each lose some milliseconds before they run again; with less credit than
/// that the rate would come out low (docs/THROTTLE_ACCURACY.md).
pub const IDLE_CREDIT: Nanos = Nanos(20_000_000);

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A rate of units a second, and when the next unit is free.
#[derive(Debug, Clone)]
pub struct Pace {
    units_per_second: NonZeroU64,
    /// When all that was scheduled is done; `None` before the first request.
    free_at: Option<Nanos>,
    /// What `free_at` leaves out, in units of 1 / `units_per_second` nanoseconds.
    remainder: u128,
    /// How far in the past a request may begin, if it was asked for more than [`IDLE_CREDIT`].
    burst: Option<Nanos>,
}

/// Room before the beginning of time, for bursts right at the start.
const EPOCH: Nanos = Nanos(1 << 60);

impl Pace {
    /// A pace at which nothing was scheduled yet.
    pub fn new(units_per_second: NonZeroU64) -> Self {
        Pace { units_per_second, free_at: None, remainder: 0, burst: None }
    }

    /// A pace that lets `units` come at once at its start and after idling.
    pub fn with_burst(units_per_second: NonZeroU64, units: u64) -> Self {
        let pace = Pace::new(units_per_second);
        let time = Nanos(pace.cost(units).min(EPOCH.0));
        Pace { burst: (units > 0).then_some(time), ..pace }
    }

    /// When all that was scheduled is done.
    pub fn free_at(&self) -> Nanos {
        self.free_at.unwrap_or_default().before(EPOCH)
    }

    /// How long `units` take, in whole nanoseconds.
    pub fn cost(&self, units: u64) -> u64 {
        let time = u128::from(units) * NANOS_PER_SECOND / u128::from(self.units_per_second.get());
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// Schedules `units` that are asked for at `now`; returns when the last of them is done.
    pub fn schedule(&mut self, now: Nanos, units: u64) -> Nanos {
        let now = now.after(EPOCH);
        let earliest = match (self.burst, self.free_at) {
            (Some(burst), _) => now.before(burst.max(IDLE_CREDIT)),
            (None, Some(_)) => now.before(IDLE_CREDIT),
            (None, None) => now,
        };
        let begin = match self.free_at {
            Some(free_at) if free_at >= earliest => free_at,
            _ => {
                self.remainder = 0;
                earliest
            }
        };
        let rate = u128::from(self.units_per_second.get());
        let cost = u128::from(units) * NANOS_PER_SECOND + self.remainder;
        self.remainder = cost % rate;
        let end = begin.after(Nanos(u64::try_from(cost / rate).unwrap_or(u64::MAX)));
        self.free_at = Some(end);
        end.before(EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn pace(rate: u64) -> Pace {
        Pace::new(NonZeroU64::new(rate).unwrap())
    }

    #[test]
    fn the_first_request_waits_for_its_share() {
        assert_eq!(pace(1000).schedule(Nanos(7), 500), Nanos(7 + SECOND / 2));
    }

    #[test]
    fn remainders_do_not_drift() {
        let mut pace = pace(3);
        let ends: Vec<u64> = (0..3000).map(|_| pace.schedule(Nanos(0), 1).0).collect();
        assert_eq!(ends.last(), Some(&(1000 * SECOND)));
    }

    #[test]
    fn a_client_with_a_turnaround_gets_the_rate_asked() {
        let (mut pace, mut now, mut served) = (pace(100_000_000), Nanos(0), 0u64);
        while now.0 < 10 * SECOND {
            let ready = pace.schedule(now, 131_072).max(now);
            served += 131_072;
            now = ready.after(Nanos(120_000));
        }
        let rate = served as f64 / (now.0 as f64 / SECOND as f64);
        assert!((rate / 1e8 - 1.0).abs() < 0.001, "{rate}");
    }

    #[test]
    fn idleness_earns_no_more_than_the_credit() {
        let mut pace = pace(1000);
        pace.schedule(Nanos(0), 1);
        let ready = pace.schedule(Nanos(60 * SECOND), 1000);
        assert_eq!(ready, Nanos(61 * SECOND - IDLE_CREDIT.0));
    }

    proptest! {
        /// Over any stretch of answers, no more than rate x (time + credit) comes through, plus the request
        /// that opens it.
        #[test]
        fn no_window_exceeds_the_rate(
            rate in 1_000u64..1_000_000_000,
            steps in proptest::collection::vec((0u64..20_000_000, 1u64..2_000_000), 2..60),
        ) {
            let (mut pace, mut now, mut answers) = (pace(rate), 0, Vec::new());
            for (gap, units) in steps {
                now += gap;
                let ready = pace.schedule(Nanos(now), units).max(Nanos(now));
                answers.push((ready.0, units));
            }
            for first in 0..answers.len() {
                let mut sum = 0u128;
                for (at, units) in &answers[first + 1..] {
                    sum += u128::from(*units);
                    let window = u128::from(at - answers[first].0 + IDLE_CREDIT.0 + 2);
                    prop_assert!(sum * NANOS_PER_SECOND <= window * u128::from(rate) + NANOS_PER_SECOND);
                }
            }
        }
    }
}
