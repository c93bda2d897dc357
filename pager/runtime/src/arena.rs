//! The runtime's own part of the address space, and its heap.
//!
//! Everything the runtime maps lies in one range far from the program's, so that one comparison keeps the program's memory calls off it. None of
//! it is paged: the pager must not page the memory that it needs to page.

use alloc::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use pager_core::addr::PAGE_SIZE;

use crate::lock::Mutex;
use crate::sys::Errno;
use crate::sys::memory::{self, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_NORESERVE, MAP_PRIVATE};
use crate::sys::memory::{PROT_READ, PROT_WRITE};

/// Where the runtime image is linked, and all that it maps.
pub const RESERVED: Range<u64> = 0x6f00_0000_0000..0x6f80_0000_0000;
/// First address behind the image for mappings.
const FIRST: u64 = 0x6f01_0000_0000;
/// What the heap asks of the kernel at a time.
const CHUNK: u64 = 256 << 10;
/// Size classes: powers of two from 16 bytes to 32 KiB; larger blocks are mapped one by one.
const SMALLEST_SHIFT: u32 = 4;
const CLASSES: usize = 12;

static NEXT: AtomicU64 = AtomicU64::new(FIRST);

/// Whether any of `len` bytes at `addr` is the runtime's.
pub fn reserves(addr: u64, len: u64) -> bool {
    addr < RESERVED.end && addr.saturating_add(len) > RESERVED.start
}

/// Maps fresh zeroed memory, aligned to `align` (a power of two, at least a page), left out of core dumps.
///
/// # Errors
/// ENOMEM and what else mmap says.
pub fn map(len: u64, align: u64) -> Result<u64, Errno> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let addr = map_with(len, align, PROT_READ | PROT_WRITE, flags, -1)?;
    let _ = memory::madvise(addr, len, memory::MADV_DONTDUMP);
    Ok(addr)
}

/// Maps a file or memory into the reserved range.
///
/// # Errors
/// What mmap says.
pub fn map_with(len: u64, align: u64, prot: u64, flags: u64, fd: i64) -> Result<u64, Errno> {
    let len = len.next_multiple_of(PAGE_SIZE);
    loop {
        let from = NEXT.fetch_add(len + align, Ordering::Relaxed);
        if from + len + align > RESERVED.end {
            return Err(Errno::ENOMEM);
        }
        let addr = from.next_multiple_of(align);
        match memory::mmap(addr, len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0) {
            Err(Errno::EEXIST) => {}
            other => return other,
        }
    }
}

struct FreeBlock {
    next: *mut FreeBlock,
}

struct Heap {
    free: [*mut FreeBlock; CLASSES],
    cursor: u64,
    end: u64,
}

// SAFETY: the raw pointers are only followed under the heap's lock.
unsafe impl Send for Heap {}

static HEAP: Mutex<Heap> = Mutex::new(Heap { free: [core::ptr::null_mut(); CLASSES], cursor: 0, end: 0 });

/// The heap's lock, to be held across a fork.
pub fn heap_lock() -> &'static crate::lock::RawMutex {
    HEAP.raw()
}

/// The global allocator: size classes over [`map`]. A block goes back to the list of its class and is never returned to the kernel.
pub struct RuntimeHeap;

fn class_of(layout: &Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).next_power_of_two().max(1 << SMALLEST_SHIFT);
    let class = (size.trailing_zeros() - SMALLEST_SHIFT) as usize;
    (class < CLASSES).then_some(class)
}

impl Heap {
    fn take(&mut self, class: usize) -> *mut u8 {
        let head = self.free[class];
        if !head.is_null() {
            // SAFETY: blocks on the list are free, live and large enough for a link.
            self.free[class] = unsafe { (*head).next };
            return head.cast();
        }
        let size = 1u64 << (class as u32 + SMALLEST_SHIFT);
        let start = self.cursor.next_multiple_of(size.min(PAGE_SIZE));
        if start + size > self.end {
            return self.refill(class);
        }
        self.cursor = start + size;
        start as *mut u8
    }

    fn refill(&mut self, class: usize) -> *mut u8 {
        match map(CHUNK, PAGE_SIZE) {
            Ok(addr) => {
                (self.cursor, self.end) = (addr, addr + CHUNK);
                self.take(class)
            }
            Err(_) => core::ptr::null_mut(),
        }
    }
}

// SAFETY: blocks of a class are disjoint, aligned to their size up to a page (mapped ones to a page), and used by one owner until freed.
unsafe impl GlobalAlloc for RuntimeHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(&layout) {
            Some(class) => HEAP.lock().take(class),
            None => map(layout.size() as u64, (layout.align() as u64).max(PAGE_SIZE))
                .map_or(core::ptr::null_mut(), |addr| addr as *mut u8),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class_of(&layout) {
            Some(class) => {
                let mut heap = HEAP.lock();
                let block = block.cast::<FreeBlock>();
                // SAFETY: the caller gives the block up; it is at least 16 bytes.
                unsafe { block.write(FreeBlock { next: heap.free[class] }) };
                heap.free[class] = block;
            }
            None => {
                let len = (layout.size() as u64).next_multiple_of(PAGE_SIZE);
                let _ = memory::munmap(block as u64, len);
            }
        }
    }
}
