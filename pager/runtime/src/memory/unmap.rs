//! munmap.

use super::{aligned_range, discard, is_ours};
use crate::state::STATE;
use crate::sys::Errno;
use crate::sys::memory as kernel;

/// Unmaps a range of the program.
///
/// # Errors
/// EINVAL as munmap(2), and for the runtime's own memory.
pub fn munmap(addr: u64, len: u64) -> Result<u64, Errno> {
    let range = aligned_range(addr, len)?;
    if is_ours(range) {
        return Err(Errno::EINVAL);
    }
    let mut areas = STATE.areas.write();
    discard(range);
    areas.remove(range);
    kernel::munmap(addr, range.bytes())?;
    STATE.images.lock().sweep(&areas);
    Ok(0)
}
