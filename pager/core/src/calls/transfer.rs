//! How many bytes one read or write moves at most, and which lengths the kernel refuses before it looks at
//! anything else that it points at.
//!
//! Source: vfs_read and rw_verify_area (fs/read_write.c), import_ubuf and __import_iovec (lib/iov_iter.c) of
//! Linux. The pager needs it where it makes a call in pieces: each piece looks fine by itself, though the
//! whole would be refused or cut short.

use crate::addr::USER_END;

/// The most bytes that one call transfers (`MAX_RW_COUNT`).
pub const MAX_TRANSFER: u64 = 0x7fff_f000;

/// What becomes of a transfer, by its length and place alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// The kernel refuses it, before it touches the buffers.
    Refused,
    /// It moves no more than these bytes.
    AtMost(u64),
}

/// A buffer of read, write and their kin: its whole length has to be a good one, though no more than
/// [`MAX_TRANSFER`] is used of it.
pub const fn of_buffer(addr: u64, len: u64) -> Transfer {
    if is_negative(len) || !is_users(addr, len) {
        Transfer::Refused
    } else {
        Transfer::AtMost(least(len, MAX_TRANSFER))
    }
}

/// A buffer that is cut first and looked at then: that of getrandom, and a vector's only one.
pub const fn of_single(addr: u64, len: u64) -> Transfer {
    let len = least(len, MAX_TRANSFER);
    if is_users(addr, len) { Transfer::AtMost(len) } else { Transfer::Refused }
}

/// The buffers of a vector, each an address and a length. One bad buffer has all refused, even behind those
/// that would be used.
pub fn of_vector(parts: impl ExactSizeIterator<Item = (u64, u64)> + Clone) -> Transfer {
    if parts.clone().any(|(_, len)| is_negative(len)) {
        return Transfer::Refused;
    }
    if let (1, Some((addr, len))) = (parts.len(), parts.clone().next()) {
        return of_single(addr, len);
    }
    if parts.clone().any(|(addr, len)| !is_users(addr, len)) {
        return Transfer::Refused;
    }
    Transfer::AtMost(parts.fold(0, |sum: u64, (_, len)| sum.saturating_add(len)).min(MAX_TRANSFER))
}

/// Whether a transfer of `len` bytes at `position` in a file ends where no file reaches. The kernel refuses
/// it, or knows better: some files of its own have such places.
pub const fn leaves_file(position: u64, len: u64) -> bool {
    is_negative(position) || is_negative(position.wrapping_add(len))
}

const fn is_negative(value: u64) -> bool {
    (value as i64) < 0
}

/// Whether the run lies in user space as a whole (`access_ok`).
const fn is_users(addr: u64, len: u64) -> bool {
    match addr.checked_add(len) {
        Some(end) => end <= USER_END,
        None => false,
    }
}

const fn least(one: u64, other: u64) -> u64 {
    if one < other { one } else { other }
}
