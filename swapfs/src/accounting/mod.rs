//! What was read and written, counted on the way.
//!
//! A request is counted just before its answer is sent, under its file's one lock, so a client that has its
//! answer finds it counted, and each file's figures agree with one another.

pub mod blocks;
mod class;
mod counters;
mod depth;
mod figures;
mod heat;
mod latency;
mod ledger;
mod names;
mod processes;
mod snapshot;
mod tally;

pub use class::FileClass;
pub use counters::{Answered, Counters, Order};
pub use depth::{DepthFigures, QueueDepth};
pub use figures::Figures;
pub use heat::Heat;
pub use latency::{Latencies, LatencySummary};
pub use ledger::{Account, AllFigures, Ledger, OTHERS, USUAL_FILES};
pub use names::Names;
pub use processes::{Occasion, ProcessAccount, ProcessSnapshot, Processes};
pub use snapshot::{FileSnapshot, Snapshot, VERSION};
pub use tally::Tally;
