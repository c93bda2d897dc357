//! Making a call of the program: its memory ready, its interruptions as Linux has them.

use pager_core::calls::{self as table, Chunk, Restart, Route, Span};
use pager_core::shared::count;

use super::again::{self, Repeat};
use super::fill::{self, Hold, Memory};
use super::keys;
use super::listing;
use super::paths;
use super::pieces;
use crate::call::Call;
use crate::control;
use crate::die;
use crate::gate;
use crate::memory;
use crate::remote;
use crate::signals::held;
use crate::sys::{Errno, check, syscall};
use crate::thread::Block;

/// How often a call that answers EFAULT is made again after filling once more: pages may have been dropped by another thread meanwhile.
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

/// Makes the call, in pieces if its buffers are large against the cap.
///
/// # Errors
/// The call's own, and ERESTARTSYS or ERESTARTNOINTR where it has to be made again after a signal.
pub fn perform(block: &'static Block, call: Call) -> Result<u64, Errno> {
    if let Some(result) = remote::transfer(block, &call) {
        return result;
    }
    if let Some(result) = listing::answer(&call, |call| make_fitting(block, call)) {
        return result;
    }
    let mut result = make_fitting(block, call);
    if let Ok(stored) = result
        && stored > 0
    {
        result = listing::until_something_is_left(&call, stored, || make_fitting(block, call));
    }
    if let Ok(result) = result {
        memory::cut::after(call, result);
    }
    result
}

fn make_fitting(block: &'static Block, call: Call) -> Result<u64, Errno> {
    if let Some(errno) = table::refusal(call.row, &call.args) {
        count(&control::counts().calls_refused, 1);
        return Err(Errno(errno));
    }
    if call.row.pointers.is_empty() {
        return make(block, call, Interruption::AsUsual);
    }
    if let Some((translated, _path)) = paths::translate(call)? {
        return whole(block, translated, Interruption::AsUsual);
    }
    match call.row.chunk {
        Chunk::Whole => whole(block, call, Interruption::AsUsual),
        chunk => pieces::in_pieces(block, call, chunk),
    }
}

/// Makes the call in one piece.
///
/// # Errors
/// As [`perform`].
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
            // Nothing was missing: the fault is the program's own. To make the call again would take a second datagram.
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

/// A call that the table does not know: fills what looks like buffers, a page at each.
///
/// # Errors
/// The call's own.
pub fn unknown(block: &'static Block, number: u64, args: [u64; 6]) -> Result<u64, Errno> {
    count(&control::counts().calls_unknown, 1);
    die::event!("system call {number} is not known: made with a page filled at each pointer");
    let pinned = block.pinned();
    table::unknown_buffers(&args, &mut |span: Span| {
        fill::ready(block, span, Hold::Pinned);
    });
    // SAFETY: as in `make`.
    let result = unsafe { gate::interruptible(number, &args, block.inbox.counter()) };
    block.unpin_to(pinned);
    result
}
