//! munmap.

use pager_core::addr::{PageRange, VirtAddr};

use super::{aligned_range, discard, seal};
use crate::arena::RESERVED;
use crate::images::IMAGES;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::memory as kernel;

/// Unmaps a range of the program.
///
/// # Errors
/// EINVAL and EPERM as munmap(2). The runtime's own memory is to the program as though nothing were mapped
/// there.
pub fn munmap(addr: u64, len: u64) -> Result<u64, Errno> {
    let range = aligned_range(addr, len)?;
    let mut areas = SPACE.areas.write();
    outside(range).try_for_each(|part| seal::may_go(&areas, part))?;
    for part in outside(range) {
        discard(part);
        areas.remove(part);
        kernel::munmap(part.start().start().0, part.bytes())?;
    }
    IMAGES.lock().sweep(&areas);
    Ok(0)
}

/// What of `range` lies below and above the runtime's memory.
pub fn outside(range: PageRange) -> impl Iterator<Item = PageRange> {
    let ours = (VirtAddr(RESERVED.start).page(), VirtAddr(RESERVED.end).page());
    let below = PageRange::new(range.start(), range.end().min(ours.0));
    let above = PageRange::new(range.start().max(ours.1), range.end());
    below.into_iter().chain(above)
}
