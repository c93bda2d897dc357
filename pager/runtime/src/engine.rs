//! The engine: how a missing private page makes itself known.
//!
//! Private memory is registered with userfaultfd under every engine. Under [`Engine::Sigsegv`] a guard marker
//! lies on each missing page as well, so the touch is a SIGSEGV; the registration underneath closes the
//! moments between a marker and a page, where a touch is a SIGBUS and waits.
//!
//! Markers lie in the kernel's page tables, 8 bytes for each page: none are laid on memory that the program
//! may not touch (they come when it may), and none on more than `MOST_MARKED` in one go. What a program
//! reserves by the terabyte stays without, and its first touches are SIGBUS.

use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use pager_core::addr::PageRange;
use pager_core::area::Protection;
use pager_core::entry::Entry;
use pager_core::shared::Engine;
use pager_engine::batch::BATCH;

use crate::control;
use crate::die;
use crate::markers;
use crate::memory::limits;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::file::Fd;
use crate::sys::memory::{self, IoVec, MADV_DONTNEED};
use crate::sys::uffd::{self, Delivery};

fn is(engine: Engine) -> bool {
    control::settings().engine.load(Ordering::Relaxed) == engine as u32
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
    let delivery = if has_server() { Delivery::Message } else { Delivery::Signal };
    limits::with_descriptors(|| uffd::open(delivery, control::userfault_device()))
}

/// The most bytes that get markers in one go: 2 MiB of the kernel's page tables.
const MOST_MARKED: u64 = 1 << 30;

fn takes_markers(range: PageRange, protection: Protection) -> bool {
    is(Engine::Sigsegv) && !protection.is_empty() && range.bytes() <= MOST_MARKED
}

/// Called for registered memory whose pages are missing, before the program can touch it.
pub fn mark(range: PageRange, protection: Protection) {
    if takes_markers(range, protection) {
        markers::install(range);
    }
}

/// Called when the program may touch memory that it could not: marks what is missing in it.
///
/// The writers' lock of the areas must be held, so that no fill begins; what is in memory or under way stays
/// as it is.
pub fn mark_missing(range: PageRange, protection: Protection) {
    if !takes_markers(range, protection) {
        return;
    }
    let mut start = range.start();
    for (page, cell) in SPACE.table.existing_in(range) {
        let entry = cell.load();
        if entry.is_resident() || matches!(entry, Entry::Busy(_)) {
            PageRange::new(start, page).into_iter().for_each(markers::install);
            start = page.plus(1);
        }
    }
    PageRange::new(start, range.end()).into_iter().for_each(markers::install);
}

/// Drops all pages of an area, whose entries say so already.
pub fn empty(range: PageRange, protection: Protection) {
    if takes_markers(range, protection) {
        return markers::install(range);
    }
    // Markers that lie there stay; where there were none the next touch is a SIGBUS.
    let _ = memory::madvise(range.start().start().0, range.bytes(), MADV_DONTNEED);
}

/// Makes guarded pages empty ones.
pub fn unguard(range: PageRange) {
    if is(Engine::Sigsegv) {
        // The marker is the engine's from now on.
        return;
    }
    if let Err(errno) = markers::remove(range) {
        die::internal(format_args!("cannot lift the guards of {range:?}: {errno:?}"));
    }
}

/// Called right before pages are installed. A copy does not replace markers on every kernel.
pub fn unmark(range: PageRange) {
    if is(Engine::Sigsegv)
        && let Err(errno) = markers::remove(range)
    {
        die::internal(format_args!("cannot lift the markers of {range:?}: {errno:?}"));
    }
}

/// Drops the pages of private memory (at most [`BATCH`] ranges), so that the next touch faults.
///
/// # Errors
/// What madvise says.
pub fn zap(ranges: &[PageRange]) -> Result<(), Errno> {
    if is(Engine::Sigsegv) {
        ranges.iter().for_each(|range| markers::install(*range));
        return Ok(());
    }
    let ranges: ArrayVec<IoVec, BATCH> =
        ranges.iter().map(|range| IoVec { base: range.start().start().0, len: range.bytes() }).collect();
    memory::zap(&ranges)
}
