//! What is written down of a request.

use std::sync::Arc;

use crate::accounting::{Account, Answered, ProcessAccount};
use crate::throttle::Nanos;

/// What was asked for besides reading and writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A file was opened.
    Open,
    /// A file was closed.
    Close,
    /// fsync or fdatasync.
    Sync,
    /// A hole was punched, of so many bytes.
    Punch {
        /// Where in the file.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum Happening {
    /// Bytes were read or written.
    Transfer(Answered),
    /// Something else was done, at this time.
    Other(Operation, Nanos),
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it was.
    pub what: Happening,
    /// Requests under way in the whole mount when it arrived, itself included.
    pub depth: u64,
    /// Who asked.
    pub process: Arc<ProcessAccount>,
    /// The file.
    pub account: Arc<Account>,
}
