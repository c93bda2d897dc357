//! The parts of a mount.

use serde::{Deserialize, Serialize};

/// Which part of the mount a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileClass {
    /// Below `images/`.
    Image,
    /// Below `swap/`.
    Swap,
}
