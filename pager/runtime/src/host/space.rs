//! The address space, and how threads wait for pages of it.

use core::sync::atomic::AtomicU64;

use pager_core::area::AreaTree;
use pager_core::table::{EntryCell, PageTable};
use pager_engine::host::{Park, Space};
use pager_engine::queue::Queue;

use super::Guest;
use crate::space::SPACE;
use crate::sys::{futex, task};

impl Space for Guest {
    fn table(&self) -> &PageTable {
        &SPACE.table
    }

    fn busy(&self) -> &AtomicU64 {
        &SPACE.busy
    }

    fn with_areas<R>(&self, look: impl FnOnce(&AreaTree) -> R) -> R {
        look(&SPACE.areas.read())
    }

    fn with_queue<R>(&self, act: impl FnOnce(&mut Queue) -> R) -> R {
        act(&mut SPACE.queue.lock())
    }
}

impl Park for Guest {
    fn wait(&self, cell: &EntryCell) {
        if let Some((word, value)) = cell.wait_word() {
            futex::wait_low(word, value);
        }
    }

    fn wake(&self, cell: &EntryCell) {
        futex::wake_low(cell.word());
    }

    fn give_way(&self) {
        task::give_way();
    }
}
