//! Who waits at the gate, and what for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::accounting::{Account, ProcessAccount};

/// Sends one answer.
pub type Job = Box<dyn FnOnce() + Send>;

/// What the throttle last said of the rules for an open file.
#[derive(Debug, Default)]
pub struct KnownRule(pub(super) AtomicU64);

/// Whose request it is, as far as rules want to know.
#[derive(Debug, Clone)]
pub struct Who {
    /// The file.
    pub account: Arc<Account>,
    /// The process.
    pub process: Arc<ProcessAccount>,
    /// Kept with the open file.
    pub known: Arc<KnownRule>,
}
