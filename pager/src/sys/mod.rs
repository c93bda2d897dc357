//! What has to be said to the kernel in `unsafe` words: mapping the control block, starting the program and
//! the keeper, waiting for them, probing features, sending signals, receiving descriptors.
//!
//! Everything above this module is safe Rust.

pub mod disposition;
pub mod duplicate;
pub mod inherited;
pub mod keeper;
pub mod map;
pub mod probe;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod trial;
pub mod wait;
