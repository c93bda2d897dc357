//! The signals of a thread's own that the runtime keeps for it, as data.

use crate::sys::signal::{SIGBUS, SIGSEGV, SIGSYS, SigInfo, SignalSet};

/// Sent to a thread, one place for each of the three: like every signal below the real-time ones, a second
/// one is lost while the first is pending.
pub struct Kept([Option<SigInfo>; 3]);

/// In the order in which the kernel takes them.
pub const KEPT: [u32; 3] = [SIGBUS, SIGSEGV, SIGSYS];

impl Kept {
    pub const NONE: Kept = Kept([None; 3]);

    pub fn keep(&mut self, info: &SigInfo) {
        if let Some(at) = place_of(info.signo as u32) {
            self.0[at].get_or_insert(*info);
        }
    }

    /// Takes a kept signal that is in `set`.
    pub fn take(&mut self, set: SignalSet) -> Option<SigInfo> {
        let at = self.0.iter().position(|kept| kept.is_some_and(|info| set.has(info.signo as u32)))?;
        self.0[at].take()
    }

    pub fn pending(&self) -> SignalSet {
        self.0.iter().flatten().fold(SignalSet::default(), |set, info| set.with(info.signo as u32))
    }
}

/// Where a signal of the three is kept.
pub fn place_of(number: u32) -> Option<usize> {
    KEPT.iter().position(|kept| *kept == number)
}
