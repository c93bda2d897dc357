//! The program's memory, read and written by the runtime.
//!
//! Pages are made resident first, then copied by the one instruction that may fault; a page that is evicted
//! in between is filled again. No lock may be held.

use alloc::vec::Vec;

use pager_core::addr::{PAGE_SIZE, VirtAddr};
use pager_core::area::Access;

use crate::arena;
use crate::gate;
use crate::sys::Errno;
use crate::touch;
use pager_engine::work::Outcome;

/// Rounds of fill and copy before an access that should work is given up.
const ROUNDS: u32 = 64;

/// Copies from the program.
///
/// # Errors
/// EFAULT where the program itself could not read.
pub fn read(addr: u64, into: &mut [u8]) -> Result<(), Errno> {
    let to = into.as_mut_ptr() as u64;
    transfer(addr, into.len() as u64, Access::Read, |done, at, len| {
        // SAFETY: `into` is ours and has `len` bytes from `done` on; `at` is the program's, outside of the
        // reserved range.
        unsafe { gate::copy(to + done, at, len) }
    })
}

/// Copies to the program.
///
/// # Errors
/// EFAULT where the program itself could not write.
pub fn write(addr: u64, from: &[u8]) -> Result<(), Errno> {
    transfer(addr, from.len() as u64, Access::Write, |done, at, len| {
        // SAFETY: as in `read`, the other way round.
        unsafe { gate::copy(at, from.as_ptr() as u64 + done, len) }
    })
}

fn transfer(addr: u64, len: u64, access: Access, copy: impl Fn(u64, u64, u64) -> u64) -> Result<(), Errno> {
    if arena::reserves(addr, len) {
        return Err(Errno::EFAULT);
    }
    let mut done = 0;
    let mut rounds = 0;
    while done < len {
        let at = addr.wrapping_add(done);
        let in_page = (PAGE_SIZE - VirtAddr(at).page_offset()).min(len - done);
        let copied = copy(done, at, in_page);
        done += copied;
        if copied < in_page {
            rounds += 1;
            if rounds > ROUNDS || !make_present(at.wrapping_add(copied), access) {
                return Err(Errno::EFAULT);
            }
        } else {
            rounds = 0;
        }
    }
    Ok(())
}

/// Makes the page of `addr` ready for `access`; `false` where the program may not do that.
fn make_present(addr: u64, access: Access) -> bool {
    matches!(touch::make_resident(VirtAddr(addr), access), Outcome::Resolved)
}

/// Reads a value. Only for types that any bytes make.
///
/// # Errors
/// As [`read()`].
pub fn read_value<T: Plain>(addr: u64) -> Result<T, Errno> {
    let mut value = T::ZERO;
    // SAFETY: `Plain` types have no invalid bytes and no padding that matters.
    let bytes = unsafe { core::slice::from_raw_parts_mut((&raw mut value).cast::<u8>(), size_of::<T>()) };
    read(addr, bytes)?;
    Ok(value)
}

/// Writes a value.
///
/// # Errors
/// As [`write()`].
pub fn write_value<T: Plain>(addr: u64, value: &T) -> Result<(), Errno> {
    // SAFETY: as above.
    let bytes = unsafe { core::slice::from_raw_parts((value as *const T).cast::<u8>(), size_of::<T>()) };
    write(addr, bytes)
}

/// Types that are just bytes.
///
/// # Safety
/// 1. Every bit pattern is a value, and there is no uninitialised padding.
pub unsafe trait Plain: Copy {
    const ZERO: Self;
}

macro_rules! plain {
    ($($type:ty = $zero:expr),* $(,)?) => {
        $(
            // SAFETY: integers, or `repr(C)` structures of integers without padding.
            unsafe impl Plain for $type {
                const ZERO: Self = $zero;
            }
        )*
    };
}

plain! {
    u32 = 0,
    u64 = 0,
    [u64; 2] = [0; 2],
    [u64; 3] = [0; 3],
    [u64; 7] = [0; 7],
    crate::sys::signal::Action = crate::sys::signal::Action {
        handler: 0, flags: 0, restorer: 0, mask: crate::sys::signal::SignalSet(0),
    },
    crate::sys::signal::AltStack = crate::sys::signal::AltStack::NONE,
    crate::sys::signal::SigInfo = crate::sys::signal::SigInfo::ZERO,
    crate::sys::signal::SignalSet = crate::sys::signal::SignalSet(0),
}

/// Reads a zero-terminated string of at most `most` bytes, without its zero.
///
/// # Errors
/// EFAULT; ENAMETOOLONG where no zero comes in time.
pub fn read_string(addr: u64, most: usize) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut chunk = [0u8; 256];
    loop {
        let at = addr.wrapping_add(text.len() as u64);
        let in_page = (PAGE_SIZE - VirtAddr(at).page_offset()).min(chunk.len() as u64) as usize;
        read(at, &mut chunk[..in_page])?;
        if let Some(end) = chunk[..in_page].iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&chunk[..end]);
            return Ok(text);
        }
        text.extend_from_slice(&chunk[..in_page]);
        if text.len() >= most {
            return Err(Errno::ENAMETOOLONG);
        }
    }
}
