//! The report as data. Its JSON keys are documented in `docs/REPORT.md` and stay as they are.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::processes::ProcessRow;
use crate::failure::Failure;
use crate::histogram::Bucket;
use crate::outcome::Outcome;

/// Version of the JSON form; grows when a key changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// A run so far, or as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Whether the first process has ended.
    pub complete: bool,
    /// Path of the program.
    #[serde(serialize_with = "path")]
    pub program: PathBuf,
    /// Its arguments, without its name.
    #[serde(serialize_with = "words")]
    pub arguments: Vec<OsString>,
    /// Process id of the supervisor.
    pub supervisor_pid: u32,
    /// Process id of the program.
    pub pid: u32,
    /// Time since its start.
    pub elapsed_ns: u64,
    /// Bytes in a page.
    pub page_bytes: u64,
    /// How it ended.
    pub exit: Option<Outcome>,
    /// Memory against the cap.
    #[serde(flatten)]
    pub resident: Resident,
    /// Faults by kind.
    pub faults: Faults,
    /// How long they took.
    pub fault_time: FaultTime,
    /// Pages by what happened to them.
    pub pages: Pages,
    /// Bytes read from images by copying fills and for headers.
    pub bytes_image_read: u64,
    /// Swap files.
    pub swap: Swap,
    /// By image, the most read first.
    pub images: Vec<Image>,
    /// System calls.
    pub calls: Calls,
    /// Signals that reached handlers of the program.
    pub signals_delivered: u64,
    /// Processes started.
    pub processes: u64,
    /// Threads started.
    pub threads: u64,
    /// Programs started by exec, the first included.
    pub execs: u64,
    /// Run without paging because they cannot be paged.
    pub execs_native: u64,
    /// Run without paging because `--children native` says so.
    pub execs_native_children: u64,
    /// One by one, in order of their start.
    pub process_table: Vec<ProcessRow>,
    /// Later processes, for which the table had no row.
    pub process_table_dropped: u64,
    /// Shared memory that was left to the kernel.
    pub unmanaged_shared_bytes: u64,
    /// Device memory, huge pages and the like.
    pub unmanaged_other_bytes: u64,
    /// The same in words.
    pub unmanaged: Vec<String>,
    /// Swapped pages that came back changed.
    pub checksum_errors: u64,
    /// Reads and writes that failed.
    pub io_errors: u64,
    /// The first failure that a process reported.
    pub failure: Option<Failure>,
}

/// For what the cap holds: `--children`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Children {
    #[default]
    Own,
    Native,
    Share,
}

/// Memory in use, in pages and bytes. The cap limits one process, or all of them together; means and `all`
/// are sums over processes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Resident {
    pub cap_pages: Option<u64>,
    pub cap_bytes: Option<u64>,
    pub children: Children,
    pub resident_peak_pages: u64,
    pub resident_peak_bytes: u64,
    pub resident_mean_pages: u64,
    pub resident_mean_bytes: u64,
    pub resident_all_peak_pages: u64,
    pub resident_all_peak_bytes: u64,
    pub resident_now_pages: u64,
    pub resident_now_bytes: u64,
}

/// Faults by kind; see [`pager_core::shared::Counts`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Faults {
    pub image: u64,
    pub zero: u64,
    pub swap_in: u64,
    pub protection: u64,
    pub waited: u64,
    pub program: u64,
    pub total: u64,
}

/// Time in faults; percentiles are rounded up by at most an eighth.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct FaultTime {
    pub count: u64,
    pub total_ns: u64,
    pub mean_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
    pub buckets: Vec<Bucket>,
}

/// Pages in and out; see [`pager_core::shared::Counts`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Pages {
    pub filled: u64,
    pub image: u64,
    pub image_mapped: u64,
    pub image_read: u64,
    pub zero: u64,
    pub swap_in: u64,
    pub for_calls: u64,
    pub ahead: u64,
    pub evicted: u64,
    pub written: u64,
    pub zero_dropped: u64,
}

/// Swap, all files together and one by one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Swap {
    pub capacity_bytes: u64,
    pub used_bytes: u64,
    pub peak_bytes: u64,
    pub reads: u64,
    pub writes: u64,
    pub files: Vec<SwapFile>,
}

/// One swap file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct SwapFile {
    #[serde(serialize_with = "path")]
    pub path: PathBuf,
    pub temporary: bool,
    pub capacity_bytes: u64,
    pub used_bytes: u64,
    pub peak_bytes: u64,
}

/// One image; see [`pager_core::shared::Image`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Image {
    pub path: String,
    pub device: u64,
    pub inode: u64,
    pub pages_filled: u64,
    pub pages_mapped: u64,
    pub pages_read: u64,
    pub bytes_read: u64,
    pub bytes_headers: u64,
    pub pages_evicted: u64,
    pub bytes_mapped: u64,
}

/// System calls; see [`pager_core::shared::Counts`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Calls {
    pub trapped: u64,
    pub managed: u64,
    pub refused: u64,
    pub unknown: u64,
}

impl Report {
    /// One line of JSON.
    ///
    /// # Panics
    ///
    /// Never: all keys are strings.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string(self).expect("all keys are strings");
        json.push('\n');
        json
    }
}

/// Names that are not UTF-8 become so, with a mark where bytes were lost.
fn path<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn words<S: Serializer>(words: &[OsString], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(words.iter().map(|word| word.to_string_lossy()))
}
