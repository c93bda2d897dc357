//! Trace files: written while a run goes on ([`recorder`]), read afterwards ([`reader`]).
//!
//! The bytes are [`pager_core::trace::format`]'s business, what is done with the events that of the commands
//! that read them.

pub mod reader;
pub mod recorder;

use serde::{Deserialize, Serialize};

/// What is known of a run when it begins. JSON keys stay as they are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Path of the program.
    pub program: String,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Cap in pages; `None` without one.
    pub cap_pages: Option<u64>,
    /// Most pages that one fault brings in of an image.
    pub fault_around_pages: u64,
    /// Bytes in a page.
    pub page_bytes: u64,
    /// When the run began, in nanoseconds since 1970.
    pub started_unix_ns: u64,
}

/// What is known of a run when it has ended. JSON keys stay as they are.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct End {
    /// Events in the file.
    pub events: u64,
    /// Events that are not, because they came faster than they could be written or the file had reached its
    /// limit.
    pub dropped: u64,
    /// The report of the run, as `--stats json` gives it.
    pub report: serde_json::Value,
    /// Paths of the images by their number in the events.
    pub images: Vec<String>,
}
