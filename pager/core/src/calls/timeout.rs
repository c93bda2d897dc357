//! Timeouts that count from a call's start: which calls have one, and what is left of it when the call is
//! made again.
//!
//! Only of calls that the kernel ends with EINTR after any handler, and where it does not write down itself
//! what is left (as select, pselect and ppoll do), or wait for a time of the clock.

use super::futex;

const POLL: u32 = 7;
const NANOSLEEP: u32 = 35;
const SIGTIMEDWAIT: u32 = 128;
const SEMTIMEDOP: u32 = 220;
const CLOCK_NANOSLEEP: u32 = 230;
const EPOLL_WAIT: u32 = 232;
const EPOLL_PWAIT: u32 = 281;
const EPOLL_PWAIT2: u32 = 441;
const TIMER_ABSTIME: u64 = 1;
const NS: u64 = 1_000_000_000;
const NS_OF_MILLISECOND: u64 = 1_000_000;

/// How a call says how long it waits, counted from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// Not at all, or by the clock, or the kernel keeps count.
    None,
    /// This argument is in milliseconds, an `int`, negative for ever.
    Milliseconds(usize),
    /// This argument points to seconds and nanoseconds, or to nothing.
    Span(usize),
}

impl Timeout {
    /// That of call `number` with these arguments.
    pub const fn of(number: u32, args: &[u64; 6]) -> Timeout {
        match number {
            POLL => Timeout::Milliseconds(2),
            EPOLL_WAIT | EPOLL_PWAIT => Timeout::Milliseconds(3),
            NANOSLEEP => Timeout::Span(0),
            SIGTIMEDWAIT => Timeout::Span(2),
            SEMTIMEDOP | EPOLL_PWAIT2 => Timeout::Span(3),
            CLOCK_NANOSLEEP if args[1] & TIMER_ABSTIME == 0 => Timeout::Span(2),
            futex::CALL if futex::waits_from_start(args[1]) => Timeout::Span(3),
            _ => Timeout::None,
        }
    }
}

/// The argument for the milliseconds that are left of `given` after `passed_ns`: never less than there are.
pub fn milliseconds_left(given: u64, passed_ns: u64) -> u64 {
    let waits = given as i32;
    let passed = i32::try_from(passed_ns / NS_OF_MILLISECOND).unwrap_or(i32::MAX);
    if waits > 0 { waits.saturating_sub(passed).max(0) as u64 } else { given }
}

/// The seconds and nanoseconds that are left of `given` after `passed_ns`. What is too long for nanoseconds
/// in 64 bits becomes 584 years.
pub const fn span_left([seconds, ns]: [u64; 2], passed_ns: u64) -> [u64; 2] {
    let left = seconds.saturating_mul(NS).saturating_add(ns).saturating_sub(passed_ns);
    [left / NS, left % NS]
}
