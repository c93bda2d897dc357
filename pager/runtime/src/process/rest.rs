//! The process at rest: no thread holds a lock of the runtime, and no page is busy.
//!
//! Whoever copies the process, or stops a part of it, does so at such a moment: what is found half done would
//! stay so.

use core::sync::atomic::Ordering;

use pager_core::area::AreaTree;

use crate::arena;
use crate::buffers;
use crate::images::IMAGES;
use crate::lock::{RawMutex, WriteGuard};
use crate::memory::brk::HEAP;
use crate::memory::limits;
use crate::program;
use crate::space::SPACE;
use crate::sys::task;
use crate::thread::{self, Block};

/// Keeps the process at rest. The calling thread may allocate until it calls [`still_heap`].
pub struct Rest {
    _inner: Held<6>,
    areas: WriteGuard<'static, AreaTree>,
    // Dropped last.
    _outer: Held<1>,
}

impl Rest {
    /// Waits for such a moment.
    pub fn come(block: &'static Block) -> Rest {
        // brk holds its lock while it maps and unmaps.
        let outer = Held::take([HEAP.raw()]);
        let areas = SPACE.areas.write();
        let locks = [
            SPACE.queue.raw(),
            IMAGES.raw(),
            program::PATH.raw(),
            limits::lock(),
            block.own().actions().lock_word(),
            thread::list_lock(),
        ];
        loop {
            let inner = Held::take(locks);
            if SPACE.busy.load(Ordering::SeqCst) == 0 {
                return Rest { _inner: inner, areas, _outer: outer };
            }
            drop(inner);
            task::give_way();
        }
    }

    pub fn areas(&self) -> &AreaTree {
        &self.areas
    }
}

/// Keeps the runtime's own memory at rest too: nothing can be allocated or freed.
pub fn still_heap(_: &Rest) -> Held<3> {
    Held::take([buffers::pool_lock(), arena::heap_lock(), arena::spare_lock()])
}

/// Locks that are held, taken in this order.
pub struct Held<const N: usize>([&'static RawMutex; N]);

impl<const N: usize> Held<N> {
    fn take(locks: [&'static RawMutex; N]) -> Held<N> {
        locks.iter().for_each(|lock| lock.acquire());
        Held(locks)
    }
}

impl<const N: usize> Drop for Held<N> {
    fn drop(&mut self) {
        self.0.iter().rev().for_each(|lock| lock.release());
    }
}
