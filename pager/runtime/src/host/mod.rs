//! This process as the engine's host: its seams ([`pager_engine::host`]) over userfaultfd, guard markers,
//! files, and the run's control block.
//!
//! One value without contents, because signal handlers have no other way to find what they work on than
//! statics.

mod budget;
mod mmu;
mod observer;
mod source;
mod space;
mod swap_device;
mod toucher;

pub use mmu::populate_for;

/// This process.
pub struct Guest;
