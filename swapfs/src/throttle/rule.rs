//! What a rule limits, and for whom.

use std::num::{NonZeroU32, NonZeroU64};

use super::latency::Latency;
use super::selector::Selector;

/// What one direction may do. Nothing set means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Bytes a second.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Requests a second.
    pub operations_per_second: Option<NonZeroU64>,
    /// Added to each request.
    pub latency: Option<Latency>,
    /// How many requests have their latency at once; without it, all.
    pub queue_depth: Option<NonZeroU32>,
    /// How many bytes may come at once, at the start and after idling.
    pub burst_bytes: u64,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// Limits for a set of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The requests.
    pub selector: Selector,
    /// Limits of reading.
    pub read: Limits,
    /// Limits of writing.
    pub write: Limits,
}
