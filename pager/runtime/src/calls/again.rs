//! Calls that a poke cut short: the program must not notice, so they are made again, with what is left of
//! their timeout.
//!
//! Most calls the kernel makes again by itself, as after any handler with SA_RESTART. Those that it ends with
//! EINTR whatever the handler says are repeated here; `pager_core::calls::timeout` knows how they say how
//! long they wait.

use pager_core::calls::timeout::{Timeout, milliseconds_left, span_left};

use crate::clock;
use crate::signals::deliver;
use crate::thread::Block;
use crate::user;

use crate::call::Call;

/// What it takes to make a call again.
pub struct Repeat {
    timeout: Timeout,
    begin: u64,
    left: [u64; 2],
}

impl Repeat {
    /// To be noted before the call is made.
    pub fn of(call: &Call) -> Repeat {
        let timeout = Timeout::of(call.row.number, &call.args);
        let begin = if timeout == Timeout::None { 0 } else { clock::ticks() };
        Repeat { timeout, begin, left: [0; 2] }
    }

    /// The arguments for another time, after a poke. They point into `self`.
    pub fn arguments(&mut self, call: &Call) -> [u64; 6] {
        let mut args = call.args;
        let passed = || clock::ns_since(self.begin);
        match self.timeout {
            Timeout::None => {}
            Timeout::Milliseconds(at) => args[at] = milliseconds_left(args[at], passed()),
            Timeout::Span(at) => {
                if let Ok(span) = user::read_value::<[u64; 2]>(args[at]) {
                    self.left = span_left(span, passed());
                    args[at] = self.left.as_ptr() as u64;
                }
            }
        }
        args
    }
}

/// Whether the call that just said EINTR did so for nothing that the program sees: a poke, or a sent fault
/// that it blocks or ignores. Its own signals come first.
pub fn was_cut_short(block: &'static Block) -> bool {
    let absorbed = deliver::absorb(block);
    (core::mem::take(&mut block.own().cut_short) || absorbed) && block.inbox.is_empty()
}
