//! What the program's buffers are made of, and which calls have to have theirs in one.

use alloc::vec::Vec;

use pager_core::addr::PAGE_SIZE;
use pager_core::calls::{Direction, Shape};

use crate::call::Call;
use crate::residency;
use crate::sys::Errno;
use crate::sys::memory::IoVec;
use crate::user;

/// Largest piece, in bytes, however large the cap.
const LARGEST: u64 = 1 << 20;

/// The part of the cap that one call may pin.
const SHARE: u64 = 8;

/// Bytes that one call may pin.
pub fn limit() -> u64 {
    match residency::reach() {
        u64::MAX => u64::MAX,
        cap => (cap / SHARE * PAGE_SIZE).clamp(PAGE_SIZE, LARGEST),
    }
}

pub const IOV_MAX: u64 = 1024;

/// Most bytes that are sent through memory of the runtime's. Up to this an append is one record to those who
/// append to the same file.
pub const RECORD_MAX: u64 = 16 << 20;

/// Whether bytes go out of the program's memory.
pub fn sends(call: Call) -> bool {
    call.row.pointers.iter().any(|pointer| {
        matches!(
            pointer.shape,
            Shape::Buffer(Direction::In, _) | Shape::IoVec(Direction::In, _) | Shape::MsgHdr(Direction::In)
        )
    })
}

/// The elements of the program's array.
pub fn read_vector(addr: u64, count: u64) -> Result<Vec<IoVec>, Errno> {
    (0..count)
        .map(|i| {
            let [base, len] = user::read_value::<[u64; 2]>(addr.wrapping_add(i * 16))?;
            Ok(IoVec { base, len })
        })
        .collect()
}
