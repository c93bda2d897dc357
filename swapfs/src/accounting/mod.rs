//! What was read and written, counted on the way.
//!
//! A request is counted just before its answer is sent, under its file's one lock, so a client that has its answer finds it
//! counted, and each file's figures agree with one another.

pub mod blocks;
mod counters;
mod latency;
mod ledger;
mod snapshot;

pub use counters::{Answered, Counters, Figures, Outcome};
pub use latency::{Latencies, LatencySummary};
pub use ledger::{Account, FileClass, Ledger};
pub use snapshot::{FileSnapshot, Snapshot, VERSION};
