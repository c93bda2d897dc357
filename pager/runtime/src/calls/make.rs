//! Making a call of the program in one piece: its memory ready, its interruptions as Linux has them.

use pager_core::calls::{self as table, Restart, Route, Span};

use super::again::{self, Repeat};
use super::fill::{self, Hold, Memory};
use super::keys;
use crate::call::Call;
use crate::gate;
use crate::signals::held;
use crate::sys::{Errno, check, syscall};
use crate::thread::Block;

/// How often a call that answers EFAULT is made again after filling once more: pages may have been dropped by
/// another thread meanwhile.
const PINNED_TRIES: u32 = 4;

/// The same without pins, where eviction alone can cause it.
const LOOSE_TRIES: u32 = 1000;

/// Whether a signal may call a call off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interruption {
    /// As the call's row says.
    AsUsual,
    /// No: a part of the call is done already.
    Never,
}

/// Makes the call in one piece.
///
/// # Errors
/// The call's own, and ERESTARTSYS or ERESTARTNOINTR where it has to be made again after a signal.
pub fn whole(block: &'static Block, call: Call, interruption: Interruption) -> Result<u64, Errno> {
    let (hold, tries) = match call.row.route {
        Route::Repeated => (Hold::Loose, LOOSE_TRIES),
        _ => (Hold::Pinned, PINNED_TRIES),
    };
    let pinned = block.pinned();
    let mut result = Err(Errno::EFAULT);
    for attempt in 0..tries {
        let mut brought = 0;
        // A nested structure that cannot be read is the kernel's to refuse.
        let _ = table::buffers(call.row, &call.args, &mut Memory, &mut |span: Span| {
            brought += fill::ready(block, span, hold);
        });
        if attempt > 0 && brought == 0 {
            // Nothing was missing: the fault is the program's own. To make the call again would take a second
            // datagram.
            break;
        }
        result = make(block, call, interruption);
        if result != Err(Errno::EFAULT) {
            break;
        }
    }
    if result == Err(Errno::EFAULT)
        && let Some(call) = keys::by_address(&call)
    {
        result = make(block, call, interruption);
    }
    block.unpin_to(pinned);
    result
}

/// Makes the call with its memory as it is.
pub fn make(block: &'static Block, call: Call, interruption: Interruption) -> Result<u64, Errno> {
    let number = call.row.number.into();
    let class = table::blocking(call.row, &call.args);
    if class == Restart::Uninterruptible || interruption == Interruption::Never {
        // SAFETY: the program's own call; its pointers are the program's.
        return check(unsafe { syscall(number, call.args) });
    }
    let mut repeat = Repeat::of(&call);
    let mut args = call.args;
    let temporary = held::temporary_mask(&call);
    let result = loop {
        let loan = held::loan_for(block, &call, temporary);
        // SAFETY: as above; a pointer into `repeat` is one of ours.
        let result = unsafe { gate::interruptible(number, &args, block.inbox.counter()) };
        // What ended the call came in under that mask.
        block.own().temporary_mask = temporary.filter(|_| result == Err(Errno::EINTR));
        if let Some(loan) = loan {
            loan.take_back(block);
        }
        if result != Err(Errno::EINTR) || !again::was_cut_short(block) {
            break result;
        }
        args = repeat.arguments(&call);
    };
    if block.inbox.is_empty() {
        block.own().temporary_mask = None;
    }
    match (result, class) {
        (Err(Errno::ERESTARTSYS), Restart::Always) => Err(Errno::ERESTARTNOINTR),
        (result, _) => result,
    }
}
