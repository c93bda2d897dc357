//! The thread that faults: its buffers, its runs, its coin, and what it and the others have pinned.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering;

use pager_core::addr::{PAGE_SIZE, PageNum};
use pager_engine::host::Toucher;
use pager_engine::readahead::Streams;

use super::Guest;
use crate::buffers::Buffer;
use crate::control;
use crate::gate;
use crate::thread::{self, Block};

/// Memory for pages on their way.
pub enum Bounce {
    /// One page: the thread's own.
    Scratch(&'static mut [u8]),
    /// More.
    Pooled(Buffer, usize),
}

impl Deref for Bounce {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Bounce::Scratch(page) => page,
            Bounce::Pooled(buffer, len) => &buffer[..*len],
        }
    }
}

impl DerefMut for Bounce {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Bounce::Scratch(page) => page,
            Bounce::Pooled(buffer, len) => &mut buffer[..*len],
        }
    }
}

impl Toucher for Guest {
    type Buffer = Bounce;

    fn buffer(&self, pages: usize) -> Bounce {
        match pages {
            1 => Bounce::Scratch(Block::current().scratch()),
            _ => Bounce::Pooled(Buffer::take(), pages * PAGE_SIZE as usize),
        }
    }

    fn with_streams<R>(&self, act: impl FnOnce(&mut Streams) -> R) -> R {
        act(&mut Block::current().own().streams)
    }

    fn one_in(&self, times: u64) -> bool {
        Block::current().own().coin.one_in(times)
    }

    fn threads(&self) -> u64 {
        thread::count()
    }

    fn is_alone(&self) -> bool {
        thread::is_alone()
    }

    fn mark_pinned(&self, pages: &[PageNum], pinned: &mut [bool]) {
        thread::for_pinned(pages, |i| pinned[i] = true);
        thread::for_robust_lists_in(pages, |i, head| pinned[i] |= holds_mutexes(head));
    }

    fn fault_around(&self) -> u64 {
        control::settings().fault_around_pages.load(Ordering::Relaxed)
    }
}

/// Whether there is a mutex on the robust list with this head, which is in memory. The kernel goes through it
/// when a signal ends the thread, and reaches what is in memory then.
fn holds_mutexes(head: u64) -> bool {
    let mut first = head;
    // SAFETY: (1) `first` is ours; (2) the head is the program's.
    let read = unsafe { gate::copy(&raw mut first as u64, head, 8) };
    // The lowest bit says what sort of mutex it is.
    read == 8 && first & !1 != head
}
