//! Calls that a poke cut short: the program must not notice, so they are made again, with what is left of their timeout.
//!
//! Most calls the kernel makes again by itself, as after any handler with SA_RESTART. Those that it ends with EINTR whatever the handler says are
//! repeated here. select, pselect and ppoll need nothing: the kernel keeps what is left where they read it.

use crate::clock;
use crate::sys::futex::{FUTEX_COMMAND, FUTEX_WAIT};
use crate::thread::Block;
use crate::user;

use super::Call;

const POLL: u32 = 7;
const NANOSLEEP: u32 = 35;
const FUTEX: u32 = 202;
const SEMTIMEDOP: u32 = 220;
const CLOCK_NANOSLEEP: u32 = 230;
const EPOLL_WAIT: u32 = 232;
const EPOLL_PWAIT: u32 = 281;
const EPOLL_PWAIT2: u32 = 441;
const SIGTIMEDWAIT: u32 = 128;
const TIMER_ABSTIME: u64 = 1;
const NS: u64 = 1_000_000_000;

/// How a call says how long it waits, counted from its start.
#[derive(Clone, Copy)]
enum Timeout {
    /// Not at all, or by the clock, or the kernel keeps count.
    None,
    /// An argument in milliseconds, negative for ever.
    Milliseconds(usize),
    /// An argument that points to seconds and nanoseconds, or to nothing.
    Span(usize),
}

/// What it takes to make a call again.
pub struct Repeat {
    timeout: Timeout,
    begin: u64,
    left: [u64; 2],
}

impl Repeat {
    /// To be noted before the call is made.
    pub fn of(call: &Call) -> Repeat {
        let timeout = match call.row.number {
            POLL => Timeout::Milliseconds(2),
            EPOLL_WAIT | EPOLL_PWAIT => Timeout::Milliseconds(3),
            NANOSLEEP => Timeout::Span(0),
            SIGTIMEDWAIT => Timeout::Span(2),
            SEMTIMEDOP | EPOLL_PWAIT2 => Timeout::Span(3),
            CLOCK_NANOSLEEP if call.args[1] & TIMER_ABSTIME == 0 => Timeout::Span(2),
            FUTEX if call.args[1] & FUTEX_COMMAND == FUTEX_WAIT => Timeout::Span(3),
            _ => Timeout::None,
        };
        let begin = if matches!(timeout, Timeout::None) { 0 } else { clock::ticks() };
        Repeat { timeout, begin, left: [0; 2] }
    }

    /// The arguments for another time, after a poke. They point into `self`.
    pub fn arguments(&mut self, call: &Call) -> [u64; 6] {
        let mut args = call.args;
        match self.timeout {
            Timeout::None => {}
            Timeout::Milliseconds(at) => {
                let waits = args[at] as i32;
                let passed = i32::try_from(clock::ns_since(self.begin) / 1_000_000).unwrap_or(i32::MAX);
                if waits > 0 {
                    args[at] = waits.saturating_sub(passed).max(0) as u64;
                }
            }
            Timeout::Span(at) => {
                if let Ok([seconds, ns]) = user::read_value::<[u64; 2]>(args[at]) {
                    let left =
                        seconds.saturating_mul(NS).saturating_add(ns).saturating_sub(clock::ns_since(self.begin));
                    self.left = [left / NS, left % NS];
                    args[at] = self.left.as_ptr() as u64;
                }
            }
        }
        args
    }
}

/// Whether the call that just said EINTR did so for a poke alone. The program's own signals come first.
pub fn was_poked(block: &Block) -> bool {
    core::mem::take(&mut block.own().cut_short) && block.inbox.is_empty()
}
