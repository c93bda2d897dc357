//! SEGV, BUS and SYS that somebody sent while the program had them blocked. For the kernel they are never blocked, so the runtime keeps them.

use pager_core::shared::count;

use super::frame;
use crate::calls::Call;
use crate::calls::perform;
use crate::state;
use crate::sys::Errno;
use crate::sys::signal::{SIGBUS, SIGSEGV, SIGSYS, SigInfo, SignalSet, UContext};
use crate::thread::Block;
use crate::user;

/// One place for each of the three: like every signal below the real-time ones, a second one is lost while the first is pending.
pub struct Held([Option<SigInfo>; 3]);

const KEPT: [u32; 3] = [SIGSEGV, SIGBUS, SIGSYS];

impl Held {
    pub const NONE: Held = Held([None; 3]);

    /// Keeps a signal until it is unblocked.
    pub fn keep(&mut self, info: &SigInfo) {
        if let Some(at) = KEPT.iter().position(|kept| *kept == info.signo as u32) {
            self.0[at].get_or_insert(*info);
        }
    }

    /// Takes a kept signal that is in `set`.
    fn take(&mut self, set: SignalSet) -> Option<SigInfo> {
        let at = self.0.iter().position(|kept| kept.is_some_and(|info| set.has(info.signo as u32)))?;
        self.0[at].take()
    }

    fn pending(&self) -> SignalSet {
        self.0.iter().flatten().fold(SignalSet::default(), |set, info| set.with(info.signo as u32))
    }
}

/// Delivers what is not blocked any more.
pub fn deliver(block: &'static Block, context: &mut UContext) {
    let open = SignalSet(!block.own().mask.0);
    while let Some(info) = block.own().held.take(open) {
        frame::deliver(block, context, &info);
    }
}

/// rt_sigpending, with what is kept here.
///
/// # Errors
/// As sigpending(2).
pub fn sigpending(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let result = perform(block, call)?;
    let kept = block.own().held.pending();
    if call.args[1] >= 8 && kept != SignalSet::default() {
        let kernel: SignalSet = user::read_value(call.args[0])?;
        user::write_value(call.args[0], &kernel.union(kept))?;
    }
    Ok(result)
}

/// rt_sigtimedwait, which finds what is kept here first.
///
/// # Errors
/// As sigtimedwait(2).
pub fn sigtimedwait(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let [set, into, ..] = call.args;
    if block.own().held.pending() != SignalSet::default() {
        let set: SignalSet = user::read_value(set)?;
        if let Some(info) = block.own().held.take(set) {
            if into != 0 {
                user::write_value(into, &info)?;
            }
            count(&state::counts().signals_delivered, 1);
            return Ok(info.signo as u64);
        }
    }
    perform(block, call)
}
