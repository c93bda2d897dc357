//! Timeouts of calls that are made again.

use super::super::timeout::{Timeout, milliseconds_left, span_left};
use super::super::{ROWS, Restart, blocking, row};
use super::named;
use proptest::prelude::*;

const NS: u64 = 1_000_000_000;

fn of(name: &str, args: [u64; 6]) -> Timeout {
    Timeout::of(named(name).number, &args)
}

#[test]
fn a_timeout_is_where_the_manual_has_it() {
    assert_eq!(of("poll", [0; 6]), Timeout::Milliseconds(2));
    for name in ["epoll_wait", "epoll_pwait"] {
        assert_eq!(of(name, [0; 6]), Timeout::Milliseconds(3), "{name}");
    }
    for (name, at) in [
        ("nanosleep", 0),
        ("clock_nanosleep", 2),
        ("rt_sigtimedwait", 2),
        ("semtimedop", 3),
        ("epoll_pwait2", 3),
    ] {
        assert_eq!(of(name, [0; 6]), Timeout::Span(at), "{name}");
    }
}

#[test]
fn times_of_the_clock_stay_as_they_are() {
    assert_eq!(of("clock_nanosleep", [0, 1, 0, 0, 0, 0]), Timeout::None, "TIMER_ABSTIME");
    let futex = |operation| of("futex", [0, operation, 0, 0, 0, 0]);
    // FUTEX_WAIT, private, by the wall clock: from the start.
    for operation in [0, 128, 256, 128 | 256] {
        assert_eq!(futex(operation), Timeout::Span(3), "{operation}");
    }
    // FUTEX_WAKE, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2.
    for operation in [1, 6, 9, 11, 13, 9 | 128 | 256] {
        assert_eq!(futex(operation), Timeout::None, "{operation}");
    }
}

#[test]
fn calls_of_which_the_kernel_keeps_count_have_none() {
    for name in ["select", "pselect6", "ppoll", "read", "wait4", "pause"] {
        assert_eq!(of(name, [0; 6]), Timeout::None, "{name}");
    }
}

#[test]
fn only_calls_that_wait_have_one() {
    // With a timeout, as these are.
    let args = [0, 0, 1, 1, 0, 0];
    for row in (0..ROWS as u64).filter_map(row).filter(|row| Timeout::of(row.number, &args) != Timeout::None)
    {
        assert_ne!(blocking(row, &args), Restart::Uninterruptible, "{}", row.name);
    }
}

#[test]
fn for_ever_and_not_at_all_are_not_shortened() {
    let negative = |value: i32| value as u32 as u64;
    for given in [0, negative(-1), negative(i32::MIN), -1i64 as u64] {
        assert_eq!(milliseconds_left(given, 5 * NS), given);
    }
}

#[test]
fn what_has_passed_is_passed() {
    assert_eq!(milliseconds_left(100, 0), 100);
    assert_eq!(milliseconds_left(100, 999_999), 100, "less than a millisecond");
    assert_eq!(milliseconds_left(100, 30_500_000), 70);
    assert_eq!(milliseconds_left(100, u64::MAX), 0, "not negative: that would be for ever");
    assert_eq!(span_left([3, 5], NS), [2, 5]);
    assert_eq!(span_left([3, 5], 6), [2, NS - 1]);
    assert_eq!(span_left([3, 5], 4 * NS), [0, 0]);
    assert_eq!(span_left([i64::MAX as u64, NS - 1], 0), [u64::MAX / NS, u64::MAX % NS], "584 years");
}

proptest! {
    #[test]
    fn nothing_is_lost_of_a_span(seconds in 0u64..1 << 33, ns in 0..NS, passed in 0u64..1 << 62) {
        let [left_seconds, left_ns] = span_left([seconds, ns], passed);
        prop_assert!(left_ns < NS);
        prop_assert_eq!(left_seconds * NS + left_ns, (seconds * NS + ns).saturating_sub(passed));
    }

    #[test]
    fn milliseconds_are_never_cut_short(given in 1i32..i32::MAX, passed in 0u64..1 << 62) {
        let left = milliseconds_left(given as u64, passed) as i32;
        prop_assert!(left >= 0 && left <= given);
        let end = i128::from(left) * 1_000_000 + i128::from(passed);
        prop_assert!(end >= i128::from(given) * 1_000_000 && (left == 0 || end < (i128::from(given) + 1) * 1_000_000));
    }
}
