//! The supervisor's request to keep to the cap: a queued SIGSEGV.

use crate::control;
use crate::sys::signal::{SIGSEGV, SigInfo};
use crate::sys::task;

/// How often who is about to poke this process may go first, and for how long: for 50 ms in all. It may be without
/// a processor for a while, and it may have been killed in the middle.
const PATIENCE: u32 = 500;
const PAUSE_NS: u64 = 100_000;

/// From now on the process cannot be poked; what was sent is pending.
pub fn refuse() {
    control::process().stop_listening(PATIENCE, || task::pause(PAUSE_NS));
}

/// Whether a signal is the supervisor's request to keep to the cap; it is taken note of.
pub fn take(info: &SigInfo) -> bool {
    let may_be = info.says_poke() || (info.signo as u32 == SIGSEGV && info.is_bare());
    may_be && (control::process().take_poke() || info.says_poke())
}
