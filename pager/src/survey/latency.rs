//! How long faults took, by kind.

use pager_core::shared::{BUCKETS, Histogram};
use pager_core::trace::FaultKind;

use super::model::{KINDS, Latency};
use crate::histogram::{Distribution, PerMille};

/// Histograms in the making.
pub struct Latencies {
    counts: [Vec<u64>; KINDS],
    total_ns: [u64; KINDS],
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies { counts: std::array::from_fn(|_| vec![0; BUCKETS]), total_ns: [0; KINDS] }
    }
}

impl Latencies {
    /// A fault of a kind.
    pub fn add(&mut self, kind: usize, ns: u64) {
        self.counts[kind][Histogram::bucket(ns)] += 1;
        self.total_ns[kind] = self.total_ns[kind].saturating_add(ns);
    }

    /// Those kinds that there were.
    pub fn finish(self) -> Vec<Latency> {
        let kinds = FaultKind::ALL.iter().zip(self.counts).zip(self.total_ns);
        let latencies = kinds.map(|((kind, counts), total_ns)| {
            let distribution = Distribution::from_counts(counts.into_iter());
            Latency {
                kind: kind.name(),
                count: distribution.count(),
                total_ns,
                p50_ns: distribution.percentile(PerMille(500)),
                p90_ns: distribution.percentile(PerMille(900)),
                p99_ns: distribution.percentile(PerMille(990)),
                max_ns: distribution.max(),
                buckets: distribution.buckets().iter().map(|bucket| (bucket.from, bucket.count)).collect(),
            }
        });
        latencies.filter(|latency| latency.count > 0).collect()
    }
}
