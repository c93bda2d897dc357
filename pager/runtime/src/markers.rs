//! Guard markers (MADV_GUARD_INSTALL): what makes a touch of an absent page a SIGSEGV.

use pager_core::addr::PageRange;

use crate::die;
use crate::sys::Errno;
use crate::sys::memory::{self, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE};

/// Takes the markers away, for good or for a while.
///
/// # Errors
/// What madvise says.
pub fn remove(run: PageRange) -> Result<(), Errno> {
    memory::madvise(run.start().start().0, run.bytes(), MADV_GUARD_REMOVE)
}

/// Puts the markers back: whatever was there is dropped, and the next touch faults.
pub fn install(run: PageRange) {
    let (addr, len) = (run.start().start().0, run.bytes());
    loop {
        match memory::madvise(addr, len, MADV_GUARD_INSTALL) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => die::internal(format_args!("cannot guard {run:?}: {errno:?}")),
            Ok(()) => return,
        }
    }
}

/// Guards a fresh file mapping; `false` where this kernel cannot (before Linux 6.15).
pub fn try_install(run: PageRange) -> bool {
    memory::madvise(run.start().start().0, run.bytes(), MADV_GUARD_INSTALL).is_ok()
}
