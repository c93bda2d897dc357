//! The policies by name.
//!
//! The simulator shows a policy every reference of the string, hits at caps larger than the recorded one
//! included. The live pager shows its policy misses only, which is what [`PolicyName::TwoQueue`] is made for:
//! that one is the live pager's own code.

use alloc::boxed::Box;

use super::adaptive::Arc;
use super::live::Live;
use super::policy::Policy;
use super::simple::{Clock, Fifo, Lru, Mru, Random};
use super::static_queues::S3Fifo;

/// The policies of the simulator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PolicyName {
    /// First in, first out.
    Fifo,
    /// FIFO with a second chance for pages that were used.
    Clock,
    /// The least recently used page goes.
    Lru,
    /// The most recently used page goes: good for loops that do not fit, bad for all else.
    Mru,
    /// Any page goes; the dice are seeded.
    Random,
    /// The live pager's: 2Q that learns from misses alone.
    TwoQueue,
    /// Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003.
    Arc,
    /// Yang and others, "FIFO queues are all you need for cache eviction", SOSP 2023.
    S3Fifo,
}

impl PolicyName {
    /// All of them.
    pub const ALL: [PolicyName; 8] = [
        PolicyName::Fifo,
        PolicyName::Clock,
        PolicyName::Lru,
        PolicyName::Mru,
        PolicyName::Random,
        PolicyName::TwoQueue,
        PolicyName::Arc,
        PolicyName::S3Fifo,
    ];

    /// Name for people and scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            PolicyName::Fifo => "fifo",
            PolicyName::Clock => "clock",
            PolicyName::Lru => "lru",
            PolicyName::Mru => "mru",
            PolicyName::Random => "random",
            PolicyName::TwoQueue => "2q",
            PolicyName::Arc => "arc",
            PolicyName::S3Fifo => "s3-fifo",
        }
    }

    /// A policy for `capacity` pages, at least one.
    pub fn build(self, capacity: usize) -> Box<dyn Policy> {
        let capacity = capacity.max(1);
        match self {
            PolicyName::Fifo => Box::new(Fifo::new(capacity)),
            PolicyName::Clock => Box::new(Clock::new(capacity)),
            PolicyName::Lru => Box::new(Lru::new(capacity)),
            PolicyName::Mru => Box::new(Mru::new(capacity)),
            PolicyName::Random => Box::new(Random::new(capacity)),
            PolicyName::TwoQueue => Box::new(Live::new(capacity)),
            PolicyName::Arc => Box::new(Arc::new(capacity)),
            PolicyName::S3Fifo => Box::new(S3Fifo::new(capacity)),
        }
    }
}
