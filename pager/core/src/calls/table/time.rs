//! Clocks, sleeps and timers.

use super::builder::*;
use crate::calls::*;

/// `struct timespec`, `struct timeval`.
const TIME: u32 = 16;
/// `struct itimerspec`, `struct itimerval`.
const TIMER: u32 = 32;
/// `struct timex`.
const TIMEX: u32 = 208;

pub(super) const ROWS: &[Row] = &[
    call(35, "nanosleep", 2).fills(&[reads(0, TIME), writes(1, TIME)]).interrupted(),
    call(36, "getitimer", 2).fills(&[writes(1, TIMER)]),
    call(37, "alarm", 1),
    call(38, "setitimer", 3).fills(&[reads(1, TIMER), writes(2, TIMER)]),
    call(96, "gettimeofday", 2).fills(&[writes(0, TIME), writes(1, 8)]),
    call(100, "times", 1).fills(&[writes(0, 32)]),
    call(159, "adjtimex", 1).fills(&[edits(0, TIMEX)]),
    call(164, "settimeofday", 2).fills(&[reads(0, TIME), reads(1, 8)]),
    call(201, "time", 1).fills(&[writes(0, 8)]),
    call(222, "timer_create", 3).fills(&[reads(1, 64), edits(2, 4)]),
    call(223, "timer_settime", 4).fills(&[reads(2, TIMER), writes(3, TIMER)]),
    call(224, "timer_gettime", 2).fills(&[writes(1, TIMER)]),
    call(225, "timer_getoverrun", 1),
    call(226, "timer_delete", 1),
    call(227, "clock_settime", 2).fills(&[reads(1, TIME)]),
    call(228, "clock_gettime", 2).fills(&[writes(1, TIME)]),
    call(229, "clock_getres", 2).fills(&[writes(1, TIME)]),
    call(230, "clock_nanosleep", 4).fills(&[reads(2, TIME), writes(3, TIME)]).interrupted(),
    call(283, "timerfd_create", 2),
    call(286, "timerfd_settime", 4).fills(&[reads(2, TIMER), writes(3, TIMER)]),
    call(287, "timerfd_gettime", 2).fills(&[writes(1, TIMER)]),
    call(305, "clock_adjtime", 2).fills(&[edits(1, TIMEX)]),
];
