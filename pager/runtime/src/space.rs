//! The program's address space: its areas, its page table, and the order in which pages leave.
//!
//! One static, because signal handlers have no other way to find it. A forked child inherits it by copy.

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use pager_core::area::AreaTree;
use pager_core::table::PageTable;

use crate::lock::{Mutex, Rank, RwLock};
use crate::own_descriptors;
use crate::sys::file::Fd;
use pager_engine::queue::Queue;

/// What the program has mapped, and where each page of it is.
pub struct Space {
    /// What the program has mapped. Readers: faults; writers: memory calls.
    pub areas: RwLock<AreaTree>,
    /// Where each page is. No lock: entries are atomics, and who makes one busy has the page.
    pub table: PageTable,
    /// Order of replacement.
    pub queue: Mutex<Queue>,
    /// Entries that are busy now; fork waits for zero.
    pub busy: AtomicU64,
}

/// The process's space.
pub static SPACE: Space = Space {
    areas: RwLock::new(Rank::Areas, AreaTree::new()),
    table: PageTable::new(),
    queue: Mutex::new(Rank::Queue, Queue::empty()),
    busy: AtomicU64::new(0),
};

static UFFD: AtomicI32 = AtomicI32::new(-1);

/// The userfaultfd that the space is registered with.
pub fn uffd() -> Fd {
    Fd(UFFD.load(Ordering::Relaxed))
}

/// Replaces the userfaultfd.
pub fn set_uffd(fd: Fd) {
    UFFD.store(fd.0, Ordering::Relaxed);
    own_descriptors::note(fd);
}
