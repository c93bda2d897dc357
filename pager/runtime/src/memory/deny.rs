//! Memory-Deny-Write-Execute (PR_SET_MDWE): from then on no memory becomes executable that was not so from
//! its start, and none is that may be written to.
//!
//! The kernel asks it of its own mappings. Only the runtime's way to a new area, which is to map it without
//! access and to give it its rights once faults in it are the runtime's, is closed by it: such an area gets
//! its rights at once.

use core::sync::atomic::{AtomicBool, Ordering};

use pager_core::area::Protection;

use crate::sys::{Errno, call, nr};

const PR_SET_MDWE: u32 = 65;
const PR_GET_MDWE: u64 = 66;
const REFUSE_EXEC_GAIN: u64 = 1;

/// Whether it is on. It never goes off again.
static ON: AtomicBool = AtomicBool::new(false);

/// Finds out whether the process was started with it. Kernels before Linux 6.3 do not have it.
pub fn learn() {
    let inherited = call!(nr::PRCTL, PR_GET_MDWE, 0, 0, 0, 0);
    ON.store(inherited.is_ok_and(|bits| bits & REFUSE_EXEC_GAIN != 0), Ordering::Relaxed);
}

/// Notes what a call of prctl has switched on.
pub fn note(args: &[u64; 6], result: Result<u64, Errno>) {
    if args[0] as u32 == PR_SET_MDWE && result.is_ok() && args[1] & REFUSE_EXEC_GAIN != 0 {
        ON.store(true, Ordering::Relaxed);
    }
}

/// Whether the kernel refuses to give these rights to memory that was mapped without any.
pub fn denies_later(protection: Protection) -> bool {
    protection.contains(Protection::EXEC) && ON.load(Ordering::Relaxed)
}

/// Whether new memory may have these rights.
///
/// # Errors
/// EACCES, as mmap(2).
pub fn admits(protection: Protection) -> Result<(), Errno> {
    let both = protection.contains(Protection::WRITE | Protection::EXEC);
    if both && ON.load(Ordering::Relaxed) { Err(Errno::EACCES) } else { Ok(()) }
}
