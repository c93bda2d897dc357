//! Histograms of durations, small enough to keep three for each direction of each file and each process.
//!
//! A duration is kept to 1/64 of its power of two, so quantiles are at most 1.6 % high and never low. Only
//! buckets that were hit take room: a file that was read once costs some bytes, not the 25 KiB of a dense
//! table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::Tally;

/// Buckets in each power of two.
const FINE: u64 = 64;
/// The same where they are shown, in `stats.json`.
const COARSE: u64 = 4;

/// Durations in nanoseconds.
#[derive(Debug, Default, Clone)]
pub struct Latencies {
    count: u64,
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
    buckets: BTreeMap<u16, u64>,
}

/// What is shown of a histogram.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LatencySummary {
    /// How many durations.
    pub count: u64,
    /// Their sum, exact.
    pub sum_ns: u64,
    /// Smallest.
    pub min_ns: u64,
    /// Mean.
    pub mean_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 95th percentile.
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// 99.99th percentile.
    pub p9999_ns: u64,
    /// Largest.
    pub max_ns: u64,
    /// How many durations up to each bound, a quarter of a power of two apart; not cumulative. Only where
    /// there were some.
    pub histogram_ns: Tally,
}

impl Latencies {
    /// Adds one duration.
    pub fn record(&mut self, ns: u64) {
        self.min_ns = if self.count == 0 { ns } else { self.min_ns.min(ns) };
        self.max_ns = self.max_ns.max(ns);
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        *self.buckets.entry(bucket_of(ns)).or_default() += 1;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Latencies) {
        if other.count == 0 {
            return;
        }
        self.min_ns = if self.count == 0 { other.min_ns } else { self.min_ns.min(other.min_ns) };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }

    /// The figures.
    pub fn summary(&self) -> LatencySummary {
        let mut histogram_ns = Tally::default();
        for (bucket, count) in &self.buckets {
            histogram_ns.add(coarse_bound(*bucket), *count);
        }
        let fine = || self.buckets.iter().map(|(bucket, count)| (last_of(*bucket), *count));
        LatencySummary { histogram_ns, ..summarize(fine, self.count, self.sum_ns, self.min_ns, self.max_ns) }
    }
}

impl LatencySummary {
    /// What came after `earlier`. Quantiles are those of the shown buckets, so up to 25 % high; the smallest
    /// and the largest are bounds too.
    #[must_use]
    pub fn since(&self, earlier: &LatencySummary) -> LatencySummary {
        let histogram_ns = self.histogram_ns.since(&earlier.histogram_ns);
        let (count, sum_ns) =
            (self.count.saturating_sub(earlier.count), self.sum_ns.saturating_sub(earlier.sum_ns));
        if count == self.count {
            return self.clone();
        }
        let coarse = || histogram_ns.iter();
        let min_ns = histogram_ns.iter().next().map_or(0, |(bound, _)| bound).min(self.max_ns);
        let max_ns = histogram_ns.iter().last().map_or(0, |(bound, _)| bound).min(self.max_ns);
        let summary = summarize(coarse, count, sum_ns, min_ns, max_ns);
        LatencySummary { histogram_ns, ..summary }
    }
}

fn summarize<I: Iterator<Item = (u64, u64)>>(
    buckets: impl Fn() -> I,
    count: u64,
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
) -> LatencySummary {
    let quantile = |part: f64| {
        let rank = ((part * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = buckets().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        reached.map_or(0, |(bound, _)| bound.min(max_ns))
    };
    LatencySummary {
        count,
        sum_ns,
        min_ns,
        mean_ns: sum_ns / count.max(1),
        p50_ns: quantile(0.5),
        p90_ns: quantile(0.9),
        p95_ns: quantile(0.95),
        p99_ns: quantile(0.99),
        p999_ns: quantile(0.999),
        p9999_ns: quantile(0.9999),
        max_ns,
        histogram_ns: Tally::default(),
    }
}

fn bucket_of(ns: u64) -> u16 {
    if ns < FINE {
        return ns as u16;
    }
    let shift = ns.ilog2() - FINE.ilog2();
    (u64::from(shift) * FINE + (ns >> shift)) as u16
}

/// The largest duration in a bucket.
fn last_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < 2 * FINE {
        return bucket;
    }
    let (shift, place) = (bucket / FINE - 1, bucket % FINE + FINE);
    (((u128::from(place) + 1) << shift) - 1).try_into().unwrap_or(u64::MAX)
}

/// The largest duration in the coarse bucket that a bucket is part of.
fn coarse_bound(bucket: u16) -> u64 {
    let each = (FINE / COARSE) as u16;
    last_of(bucket / each * each + each - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), LatencySummary::default());
        (1..=1000).for_each(|n| latencies.record(n * 1000));
        let summary = latencies.summary();
        assert_eq!((summary.count, summary.sum_ns), (1000, 500_500_000));
        assert_eq!((summary.min_ns, summary.max_ns), (1000, 1_000_000));
        assert!((summary.p50_ns as f64 / 500_000.0 - 1.0).abs() < 0.02);
        assert!((summary.p99_ns as f64 / 990_000.0 - 1.0).abs() < 0.02);
        assert_eq!(summary.p9999_ns, 1_000_000);
        assert_eq!(summary.histogram_ns.iter().map(|(_, count)| count).sum::<u64>(), 1000);
    }

    #[test]
    fn merging_is_recording_all() {
        let (mut a, mut b, mut both) = (Latencies::default(), Latencies::default(), Latencies::default());
        for n in [3, 900, 70_000_000_000] {
            a.record(n);
            b.record(n * 2);
            both.record(n);
            both.record(n * 2);
        }
        a.merge(&b);
        assert_eq!(a.summary(), both.summary());
    }

    #[test]
    fn a_difference_is_of_what_came_after() {
        let mut latencies = Latencies::default();
        (0..100).for_each(|_| latencies.record(1_000_000));
        let before = latencies.summary();
        (0..100).for_each(|_| latencies.record(1000));
        let after = latencies.summary().since(&before);
        assert_eq!((after.count, after.sum_ns, after.mean_ns), (100, 100_000, 1000));
        assert!((1000..1280).contains(&after.p99_ns), "{after:?}");
        assert_eq!(before.since(&before).p50_ns, 0);
    }

    proptest! {
        #[test]
        fn buckets_hold_what_is_put_in_them(ns in any::<u64>()) {
            let bucket = bucket_of(ns);
            prop_assert!(last_of(bucket) >= ns);
            prop_assert!(bucket == 0 || last_of(bucket - 1) < ns);
            prop_assert!(last_of(bucket) - ns <= ns / FINE);
            prop_assert!(coarse_bound(bucket) >= last_of(bucket));
            prop_assert!(coarse_bound(bucket) - ns <= ns / COARSE + 16);
        }

        #[test]
        fn quantiles_are_those_of_the_sorted_list(mut all in proptest::collection::vec(0u64..1 << 40, 1..200)) {
            let mut latencies = Latencies::default();
            all.iter().for_each(|ns| latencies.record(*ns));
            all.sort_unstable();
            let exact = all[(all.len() * 9).div_ceil(10) - 1];
            let shown = latencies.summary().p90_ns;
            prop_assert!(shown >= exact && shown <= exact + exact / FINE, "{} for {}", shown, exact);
        }
    }
}
