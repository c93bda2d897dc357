//! brk: the heap behind the program's data.

use pager_core::addr::{PAGE_SIZE, USER_END, VirtAddr};
use pager_core::area::{Protection, Role};

use super::map::{Request, map_anonymous};
use super::unmap;
use crate::lock::{Mutex, Rank};
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::memory::{MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE};

/// Where the heap starts and ends now, in bytes.
pub struct Heap {
    pub start: u64,
    pub end: u64,
}

/// The heap. Held across the memory calls that move its end.
pub static HEAP: Mutex<Heap> = Mutex::new(Rank::Break, Heap::NONE);

impl Heap {
    pub const NONE: Heap = Heap { start: 0, end: 0 };
}

/// Starts an empty heap.
pub fn start_at(addr: u64) {
    *HEAP.lock() = Heap { start: addr, end: addr };
}

/// Moves the heap's end; where it is afterwards, which is where it was if it cannot be moved.
pub fn brk(wanted: u64) -> u64 {
    let mut heap = HEAP.lock();
    if wanted < heap.start {
        return heap.end;
    }
    let old = heap.end.next_multiple_of(PAGE_SIZE);
    let Some(new) = wanted.checked_next_multiple_of(PAGE_SIZE) else { return heap.end };
    let moved = match new {
        new if new > old => grow(old, new - old),
        new if new < old => unmap::munmap(new, old - new),
        _ => Ok(0),
    };
    if moved.is_ok() {
        heap.end = wanted;
    }
    heap.end
}

fn grow(at: u64, len: u64) -> Result<u64, Errno> {
    // Linux leaves a page free behind the heap.
    if at.checked_add(len).is_none_or(|end| end >= USER_END - PAGE_SIZE)
        || SPACE.areas.read().find(VirtAddr(at + len).page()).is_some()
    {
        return Err(Errno::ENOMEM);
    }
    let request = Request {
        addr: at,
        len,
        prot: (Protection::READ | Protection::WRITE).bits().into(),
        flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
        fd: -1,
        offset: 0,
    };
    map_anonymous(&request, Role::Heap)
}
