//! Calls about pending signals: sigpending, signalfd and sigtimedwait, with what the runtime keeps.

use pager_core::shared::count;

use super::again::was_cut_short;
use super::perform::perform;
use crate::call::Call;
use crate::clock;
use crate::control;
use crate::gate;
use crate::paging;
use crate::signals::held::{self, Quiet};
use crate::signals::poke;
use crate::sys::signal::{SIGSEGV, SigInfo, SignalSet};
use crate::sys::{Errno, nr};
use crate::thread::Block;
use crate::user;

/// rt_sigpending, with what is kept here.
///
/// # Errors
/// As sigpending(2).
pub fn sigpending(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let result = perform(block, call)?;
    let kept = held::pending(block);
    if call.args[1] >= 8 && kept != SignalSet::default() {
        let kernel: SignalSet = user::read_value(call.args[0])?;
        user::write_value(call.args[0], &kernel.union(kept))?;
    }
    Ok(result)
}

/// signalfd and signalfd4.
///
/// # Errors
/// As signalfd(2).
pub fn signalfd(block: &'static Block, call: Call) -> Result<u64, Errno> {
    if user::read_value::<SignalSet>(call.args[1]).is_ok_and(|set| set.intersects(SignalSet::OURS)) {
        held::watch();
    }
    perform(block, call)
}

/// rt_sigtimedwait, which takes what is kept here and what the kernel has in the kernel's order.
///
/// # Errors
/// As sigtimedwait(2).
pub fn sigtimedwait(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let [set_at, into, timeout_at, size, ..] = call.args;
    let set = if size == 8 { user::read_value::<SignalSet>(set_at)? } else { SignalSet::default() };
    if !set.intersects(SignalSet::OURS) {
        return perform(block, call);
    }
    let timeout = if timeout_at == 0 { None } else { Some(user::read_value::<[u64; 2]>(timeout_at)?) };
    let info = wait_for(block, set, timeout)?;
    if into != 0 {
        user::write_value(into, &info)?;
    }
    if SignalSet::OURS.has(info.signo as u32) {
        count(&control::counts().signals_delivered, 1);
    }
    Ok(info.signo as u64)
}

fn wait_for(block: &'static Block, set: SignalSet, timeout: Option<[u64; 2]>) -> Result<SigInfo, Errno> {
    let begin = clock::ticks();
    loop {
        let mut info = SigInfo::ZERO;
        let left = timeout.map(|span| pager_core::calls::timeout::span_left(span, clock::ns_since(begin)));
        let left_at = left.as_ref().map_or(0, |left| left.as_ptr() as u64);
        let args = [&raw const set as u64, &raw mut info as u64, left_at, 8, 0, 0];
        // A poke that is waited for as well is told apart.
        let _quiet = if set.has(SIGSEGV) { None } else { Quiet::begin(block) };
        let loan = held::lend(block, set);
        // SAFETY: all three pointers are to variables of this function.
        let result = unsafe { gate::interruptible(nr::RT_SIGTIMEDWAIT, &args, block.inbox.counter()) };
        held::take_back(block, loan);
        match result {
            Ok(_) if poke::take(&info) => paging::keep_to_cap(),
            Ok(_) => return Ok(info.received()),
            Err(Errno::EINTR) if was_cut_short(block) => {}
            Err(errno) => return Err(errno),
        }
    }
}
