//! Lengths that the kernel refuses, and those that it cuts.

use super::super::transfer::{MAX_TRANSFER, Transfer, leaves_file, of_buffer, of_single, of_vector};
use crate::addr::USER_END;

const AT: u64 = 0x10_0000;

fn vector(parts: &[(u64, u64)]) -> Transfer {
    of_vector(parts.iter().copied())
}

#[test]
fn a_long_buffer_is_cut_and_a_negative_one_refused() {
    assert_eq!(of_buffer(AT, 5), Transfer::AtMost(5));
    assert_eq!(of_buffer(AT, 3 << 30), Transfer::AtMost(MAX_TRANSFER));
    assert_eq!(of_buffer(AT, u64::MAX), Transfer::Refused);
    assert_eq!(of_buffer(AT, 1 << 63), Transfer::Refused);
    assert_eq!(of_single(AT, u64::MAX), Transfer::AtMost(MAX_TRANSFER));
}

#[test]
fn a_buffer_that_leaves_user_space_is_refused() {
    assert_eq!(of_buffer(USER_END - 5, 5), Transfer::AtMost(5));
    assert_eq!(of_buffer(USER_END - 5, 6), Transfer::Refused);
    assert_eq!(of_buffer(u64::MAX, 1), Transfer::Refused);
    assert_eq!(of_buffer(AT, USER_END), Transfer::Refused, "though what is used of it would lie there");
    assert_eq!(of_single(AT, USER_END), Transfer::AtMost(MAX_TRANSFER));
    assert_eq!(of_single(USER_END - 5, 6), Transfer::Refused);
}

#[test]
fn one_bad_buffer_has_the_vector_refused() {
    assert_eq!(vector(&[]), Transfer::AtMost(0));
    assert_eq!(vector(&[(AT, 8), (AT, 8)]), Transfer::AtMost(16));
    assert_eq!(vector(&[(AT, 8), (AT, u64::MAX)]), Transfer::Refused);
    assert_eq!(vector(&[(AT, u64::MAX)]), Transfer::Refused);
    assert_eq!(vector(&[(AT, 8), (u64::MAX, 1)]), Transfer::Refused);
    assert_eq!(
        vector(&[(AT, MAX_TRANSFER), (AT, 8), (u64::MAX, 1)]),
        Transfer::Refused,
        "behind those that are used"
    );
    assert_eq!(vector(&[(AT, MAX_TRANSFER), (AT, 8)]), Transfer::AtMost(MAX_TRANSFER));
    assert_eq!(vector(&[(AT, USER_END)]), Transfer::AtMost(MAX_TRANSFER), "cut before it is looked at");
    assert_eq!(vector(&[(AT, USER_END), (AT, 1)]), Transfer::Refused);
}

#[test]
fn a_transfer_may_end_where_the_largest_file_does() {
    let last = i64::MAX as u64;
    assert!(!leaves_file(last - 8, 8));
    assert!(leaves_file(last - 8, 9));
    assert!(leaves_file(u64::MAX, 1), "before the start");
}
