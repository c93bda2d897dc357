//! process_madvise: advice on many ranges at once, mostly of the process itself.

use alloc::vec::Vec;

use pager_core::addr::USER_END;

use super::perform;
use crate::call::Call;
use crate::memory::advise::madvise;
use crate::sys::{Errno, call, nr};
use crate::thread::Block;
use crate::user;

/// Linux' `UIO_MAXIOV` and `MAX_RW_COUNT`.
const MOST_RANGES: u64 = 1024;
const MOST_BYTES: u64 = 0x7fff_f000;
/// What only a process's own memory may be advised of.
const DONTNEED: u64 = 4;

/// Takes advice on ranges of this process; of another one it is the kernel's to take, which lets through what
/// changes no contents.
///
/// # Errors
/// As process_madvise(2).
pub fn process_madvise(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let [pidfd, vector, count, advice, flags, _] = call.args;
    if flags as u32 != 0 || !is_own(pidfd) {
        return perform::perform(block, call);
    }
    let ranges = ranges(vector, count)?;
    let mut done = 0;
    for [addr, len] in ranges {
        match madvise(addr, len, u64::from(advice as u32)) {
            Ok(_) => done += len,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Whether the kernel takes the descriptor, or what stands for one, for this process: it is asked about no
/// memory at all.
fn is_own(pidfd: u64) -> bool {
    call!(nr::PROCESS_MADVISE, pidfd, 0, 0, DONTNEED, 0).is_ok()
}

fn ranges(vector: u64, count: u64) -> Result<Vec<[u64; 2]>, Errno> {
    if count > MOST_RANGES {
        return Err(Errno::EINVAL);
    }
    let mut room = MOST_BYTES;
    let mut ranges = Vec::with_capacity(count as usize);
    for number in 0..count {
        let [addr, len] = user::read_value::<[u64; 2]>(vector.wrapping_add(number * 16))?;
        if (len as i64) < 0 {
            return Err(Errno::EINVAL);
        }
        ranges.push([addr, len.min(room)]);
        room -= len.min(room);
    }
    let is_outside = |[addr, len]: &[u64; 2]| addr.checked_add(*len).is_none_or(|end| end > USER_END);
    if ranges.iter().any(is_outside) { Err(Errno::EFAULT) } else { Ok(ranges) }
}
