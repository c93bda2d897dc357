//! Percentiles from the buckets of the control block's histogram.

use std::sync::atomic::Ordering::Relaxed;

use pager_core::shared::Histogram;
use serde::Serialize;

/// Values of a histogram at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Distribution {
    /// Non-empty buckets, ascending.
    buckets: Vec<Bucket>,
    count: u64,
}

/// A bucket with values in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Bucket {
    /// Smallest value that falls in.
    #[serde(rename = "from_ns")]
    pub from: u64,
    /// Largest value that falls in.
    #[serde(skip)]
    pub to: u64,
    /// Values in it.
    pub count: u64,
}

/// A part of all values in thousandths: 500 is the median.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerMille(pub u16);

impl Distribution {
    /// Copies the buckets.
    pub fn of(histogram: &Histogram) -> Distribution {
        let counts = histogram.buckets.iter().map(|bucket| bucket.load(Relaxed));
        Distribution::from_counts(counts)
    }

    /// From the number of values in each bucket.
    pub fn from_counts(counts: impl Iterator<Item = u64>) -> Distribution {
        let bucket = |(index, count)| Bucket {
            from: Histogram::lower_bound(index),
            to: Histogram::lower_bound(index + 1).wrapping_sub(1),
            count,
        };
        let buckets: Vec<Bucket> = counts.enumerate().filter(|&(_, count)| count != 0).map(bucket).collect();
        let count = buckets.iter().map(|bucket| bucket.count).fold(0, u64::saturating_add);
        Distribution { buckets, count }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The non-empty buckets, ascending.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The value that `part` of all values do not exceed, rounded up to the end of its bucket (by at most an
    /// eighth); 0 without values.
    pub fn percentile(&self, part: PerMille) -> u64 {
        let rank = (u128::from(self.count) * u128::from(part.0)).div_ceil(1000).max(1);
        let mut seen: u128 = 0;
        let reaches = |bucket: &&Bucket| {
            seen += u128::from(bucket.count);
            seen >= rank
        };
        self.buckets.iter().find(reaches).map_or(0, |bucket| bucket.to)
    }

    /// The largest value, rounded up as percentiles are.
    pub fn max(&self) -> u64 {
        self.buckets.last().map_or(0, |bucket| bucket.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pager_core::shared::BUCKETS;

    fn of_values(values: &[u64]) -> Distribution {
        let mut counts = vec![0; BUCKETS];
        for &value in values {
            counts[Histogram::bucket(value)] += 1;
        }
        Distribution::from_counts(counts.into_iter())
    }

    #[test]
    fn nothing_measured_is_zero() {
        let empty = of_values(&[]);
        assert_eq!((empty.count(), empty.percentile(PerMille(500)), empty.max()), (0, 0, 0));
    }

    #[test]
    fn extremes_have_buckets() {
        let both = of_values(&[0, u64::MAX]);
        assert_eq!((both.percentile(PerMille(500)), both.max()), (0, u64::MAX));
    }

    proptest::proptest! {
        #[test]
        fn percentiles_are_the_exact_ones_within_an_eighth(
            mut values in proptest::collection::vec(0_u64..1 << 40, 1..300),
            part in 0_u16..=1000,
        ) {
            let distribution = of_values(&values);
            values.sort_unstable();
            let rank = (values.len() * usize::from(part)).div_ceil(1000).max(1);
            let exact = values[rank - 1];
            let ours = distribution.percentile(PerMille(part));
            proptest::prop_assert!(ours >= exact && ours <= exact + exact / 8, "{} for {}", ours, exact);
            proptest::prop_assert_eq!(distribution.count(), values.len() as u64);
        }
    }
}
