//! How often each part of a file was touched.

use serde::{Deserialize, Serialize};

/// Touches of a file's 4 KiB blocks, added up in equal parts of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heat {
    /// From the top of the mount.
    pub path: String,
    /// Size when it was last opened.
    pub size_bytes: u64,
    /// Blocks read in each part, each as often as it was read.
    pub reads: Vec<u64>,
    /// Blocks written in each part.
    pub writes: Vec<u64>,
}
