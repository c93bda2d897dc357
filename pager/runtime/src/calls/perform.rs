//! Performing a call of the program: whole, in pieces, or with a path in place of another.

use pager_core::calls::{self as table, Chunk, Span};
use pager_core::shared::count;

use super::cut;
use super::fill::{self, Hold};
use super::listing;
use super::make::{Interruption, make, whole};
use super::paths;
use super::pieces;
use crate::call::Call;
use crate::control;
use crate::die;
use crate::gate;
use crate::remote;
use crate::sys::Errno;
use crate::thread::Block;

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
        cut::after(call, result);
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
