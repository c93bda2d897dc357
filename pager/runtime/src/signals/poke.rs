//! The supervisor's request to keep to the cap: a queued SIGSEGV.

use crate::control;
use crate::sys::signal::{SIGSEGV, SigInfo};

/// Whether a signal is the supervisor's request to keep to the cap; it is taken note of.
pub fn take(info: &SigInfo) -> bool {
    let may_be = info.says_poke() || (info.signo as u32 == SIGSEGV && info.is_bare());
    may_be && (control::process().take_poke() || info.says_poke())
}
