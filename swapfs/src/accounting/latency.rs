//! Histograms of durations, small enough to keep two for each direction of each file.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Durations in nanoseconds, to about one per cent; allocated with the first.
#[derive(Debug, Default, Clone)]
pub struct Latencies {
    sum_ns: u64,
    histogram: Option<Box<Histogram<u64>>>,
}

/// What is shown of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
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
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

impl Latencies {
    /// Adds one duration.
    pub fn record(&mut self, ns: u64) {
        self.sum_ns = self.sum_ns.saturating_add(ns);
        // Resizes by itself, and no duration is too long for it.
        let _ = self.histogram_mut().record(ns);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Latencies) {
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        if let Some(histogram) = &other.histogram {
            // Both resize by themselves, so adding cannot fail.
            let _ = self.histogram_mut().add(histogram.as_ref());
        }
    }

    /// The figures.
    pub fn summary(&self) -> LatencySummary {
        let Some(histogram) = &self.histogram else { return LatencySummary::default() };
        let count = histogram.len();
        LatencySummary {
            count,
            sum_ns: self.sum_ns,
            min_ns: histogram.min(),
            mean_ns: self.sum_ns / count.max(1),
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        }
    }

    fn histogram_mut(&mut self) -> &mut Histogram<u64> {
        self.histogram.get_or_insert_with(|| Box::new(new_histogram()))
    }
}

fn new_histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new(2).expect("2 is a valid number of digits");
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), LatencySummary::default());
        (1..=1000).for_each(|n| latencies.record(n * 1000));
        let summary = latencies.summary();
        assert_eq!((summary.count, summary.sum_ns), (1000, 500_500_000));
        assert!((summary.p50_ns as f64 / 500_000.0 - 1.0).abs() < 0.02);
        assert!((summary.p99_ns as f64 / 990_000.0 - 1.0).abs() < 0.02);
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
}
