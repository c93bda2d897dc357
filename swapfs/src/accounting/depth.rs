//! How many requests are under way at once: read from the kernel, and not yet answered.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Requests under way, and how many each new one found, itself included.
#[derive(Debug, Default)]
pub struct QueueDepth {
    under_way: AtomicU64,
    arrivals: AtomicU64,
    sum: AtomicU64,
    most: AtomicU64,
}

/// What is shown of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DepthFigures {
    /// Requests under way now, those that the throttle holds back too.
    pub now: u64,
    /// Requests that ever arrived.
    pub arrivals: u64,
    /// Sum of the depths that they found, themselves included: `sum / arrivals` is the mean.
    pub sum: u64,
    /// The largest of those.
    pub most: u64,
}

impl QueueDepth {
    /// A request arrives. Returns how many are under way, itself included.
    pub fn arrive(&self) -> u64 {
        let depth = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(depth, Ordering::Relaxed);
        self.most.fetch_max(depth, Ordering::Relaxed);
        depth
    }

    /// A request that arrived is answered.
    pub fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Forgets all but what is under way.
    pub fn reset(&self) {
        for count in [&self.arrivals, &self.sum, &self.most] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// The figures.
    pub fn figures(&self) -> DepthFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DepthFigures {
            now: read(&self.under_way),
            arrivals: read(&self.arrivals),
            sum: read(&self.sum),
            most: read(&self.most),
        }
    }
}

impl DepthFigures {
    /// Mean depth that a request found, itself included.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.arrivals.max(1) as f64
    }

    /// What came after `earlier`; the largest depth is that of the whole time.
    #[must_use]
    pub fn since(&self, earlier: &DepthFigures) -> DepthFigures {
        let (arrivals, sum) =
            (self.arrivals.saturating_sub(earlier.arrivals), self.sum.saturating_sub(earlier.sum));
        DepthFigures { arrivals, sum, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_the_request_itself() {
        let depth = QueueDepth::default();
        assert_eq!((depth.arrive(), depth.arrive()), (1, 2));
        depth.leave();
        let before = depth.figures();
        assert_eq!(before, DepthFigures { now: 1, arrivals: 2, sum: 3, most: 2 });
        depth.arrive();
        let since = depth.figures().since(&before);
        assert_eq!((since.arrivals, since.sum, since.mean()), (1, 2, 2.0));
        depth.reset();
        assert_eq!(depth.figures(), DepthFigures { now: 2, ..DepthFigures::default() });
    }
}
