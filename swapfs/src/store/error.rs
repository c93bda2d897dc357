//! Why a swap file cannot be kept.

use std::io;
use std::path::PathBuf;

use crate::units::show_bytes;

/// Why a swap file cannot be kept where it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file in it cannot be used.
    #[error(
        "swap store {path} cannot be opened, give a directory that you may write, `memory` or `compressed`"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another mount has it.
    #[error("swap store {0} is in use by another swapfs; unmount that one, or use another directory")]
    Busy(PathBuf),
    /// The file is there from before, with another size.
    #[error("swap store {path} has {found} bytes, not {asked}; ask for {found}, or remove the file")]
    OtherSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size asked for.
        asked: u64,
    },
    /// Something else stands there.
    #[error("swap store {0} is not a regular file; remove it, or use another directory")]
    Kind(PathBuf),
    /// Memory of that size cannot be had.
    #[error("no swap file of {} can be had in memory", show_bytes(*.bytes))]
    Memory {
        /// Size asked for.
        bytes: u64,
        /// Why.
        source: io::Error,
    },
    /// An encrypted store is asked for, and the file is there from before.
    #[error(
        "swap store {0} holds contents from before, which an encrypted swap file can neither use nor keep; remove it, or use another directory"
    )]
    Unencrypted(PathBuf),
    /// There is no key to be had.
    #[error("no key for an encrypted swap file can be had")]
    Key(#[source] getrandom::Error),
}
