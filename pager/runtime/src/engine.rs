//! The engine: how a missing private page makes itself known.
//!
//! Private memory is registered with userfaultfd under every engine. Under [`Engine::Sigsegv`] a guard marker lies on each missing page as well, so the
//! touch is a SIGSEGV; the registration underneath closes the moments between a marker and a page, where a touch is a SIGBUS and waits.

use core::sync::atomic::Ordering;

use pager_core::addr::PageRange;
use pager_core::shared::Engine;

use crate::die;
use crate::fill;
use crate::state;
use crate::sys::Errno;
use crate::sys::file::{self, Fd};
use crate::sys::memory::{self, IoVec, MADV_GUARD_REMOVE};
use crate::sys::uffd::{self, Delivery};

fn is(engine: Engine) -> bool {
    state::settings().engine.load(Ordering::Relaxed) == engine as u32
}

/// Whether clean pages of files may be mapped through.
pub fn maps_through() -> bool {
    !is(Engine::Uffd) && !has_server()
}

/// Whether faults are messages to a thread of the runtime's own.
pub fn has_server() -> bool {
    is(Engine::Thread)
}

/// Opens the userfaultfd that this engine needs.
///
/// # Errors
/// As [`uffd::open`].
pub fn open() -> Result<Fd, Errno> {
    file::with_descriptors(|| uffd::open(if has_server() { Delivery::Message } else { Delivery::Signal }))
}

/// Called for registered memory whose pages are missing, before the program can touch it.
pub fn mark(range: PageRange) {
    if is(Engine::Sigsegv) {
        fill::guard(range);
    }
}

/// Called right before pages are installed. A copy does not replace markers on every kernel.
pub fn unmark(range: PageRange) {
    if is(Engine::Sigsegv)
        && let Err(errno) = memory::madvise(range.start().start().0, range.bytes(), MADV_GUARD_REMOVE)
    {
        die::internal(format_args!("cannot lift the markers of {range:?}: {errno:?}"));
    }
}

/// Drops the pages of private memory (at most 1024 ranges), so that the next touch faults.
///
/// # Errors
/// What madvise says.
pub fn zap(ranges: &[PageRange]) -> Result<(), Errno> {
    if is(Engine::Sigsegv) {
        ranges.iter().for_each(|range| fill::guard(*range));
        return Ok(());
    }
    let ranges: alloc::vec::Vec<IoVec> =
        ranges.iter().map(|range| IoVec { base: range.start().start().0, len: range.bytes() }).collect();
    memory::zap(&ranges)
}
