//! The catalogue: real programs of Debian packages with commands and inputs, in `programs.toml`.
//!
//! [`entry`] reads the list, [`mod@measure`] runs an entry natively and at parts of its native peak,
//! [`table`] writes what came out.

pub mod entry;
pub mod measure;
pub mod table;

pub use entry::Entry;
pub use measure::{Measured, Verdict, measure};
