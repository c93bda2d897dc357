//! The shape of `.swapfs/stats.json`.

use serde::{Deserialize, Serialize};

use super::Figures;
use super::ledger::FileClass;

/// All counts of a mount at one moment. Holds no time of its own: an idle mount gives the same bytes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this shape; grows when a key goes or changes its meaning.
    pub version: u32,
    /// The daemon's process.
    pub pid: u32,
    /// Where it is mounted.
    pub mountpoint: String,
    /// When it was mounted, since 1970.
    pub started_unix_ns: u64,
    /// Whether it was mounted with `--strict`.
    pub strict: bool,
    /// What a counted read is: `every read` or `page-cache misses`.
    pub counted_reads: String,
    /// Serving threads.
    pub threads: u64,
    /// Size of the blocks that are counted.
    pub block_bytes: u64,
    /// Requests that the throttle holds back now; they are not yet counted.
    pub waiting_requests: u64,
    /// Files that are open now.
    pub open_files: u64,
    /// Sum over all files.
    pub total: Figures,
    /// Each file that was ever opened, sorted by path.
    pub files: Vec<FileSnapshot>,
}

/// The counts of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSnapshot {
    /// From the top of the mount: `images/ls`, `swap/swap0`.
    pub path: String,
    /// `image` or `swap`.
    pub class: FileClass,
    /// Size when it was last opened.
    pub size_bytes: u64,
    /// Its counts.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The version of this shape.
pub const VERSION: u32 = 1;

impl Snapshot {
    /// The text of `stats.json`.
    ///
    /// # Panics
    /// Never: the shape has only text keys.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data") + "\n"
    }
}
