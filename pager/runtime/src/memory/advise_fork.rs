//! What becomes of memory in a forked child (MADV_DONTFORK, MADV_WIPEONFORK).

use pager_core::addr::PageRange;
use pager_core::area::ForkPolicy;

use crate::sys::Errno;
use crate::sys::memory as kernel;

pub const DONTFORK: u64 = 10;
pub const WIPEONFORK: u64 = 18;

/// Tells the kernel of `policy` where it has mapped afresh what it knew of it before.
///
/// # Errors
/// As madvise(2).
pub fn apply(range: PageRange, policy: ForkPolicy) -> Result<(), Errno> {
    let (addr, len) = (range.start().start().0, range.bytes());
    if policy.skips() {
        kernel::madvise(addr, len, DONTFORK)?;
    }
    if policy.wipes() {
        kernel::madvise(addr, len, WIPEONFORK)?;
    }
    Ok(())
}
