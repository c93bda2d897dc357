//! The runtime's own part of the address space, and its heap.
//!
//! Everything the runtime maps lies in one range far from the program's, so that one comparison keeps the
//! program's memory calls off it. None of it is paged: the pager must not page the memory that it needs to
//! page.

use alloc::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use pager_core::addr::PAGE_SIZE;

use crate::lock::{Mutex, Rank, RawMutex};
use crate::sys::Errno;
use crate::sys::file::Fd;
use crate::sys::memory::{self, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED};
use crate::sys::memory::{PROT_READ, PROT_WRITE};

/// Where the runtime image is linked, and all that it maps. Sanitizers know which addresses a program may
/// have: this is below where the kernel puts position-independent programs, which all of them allow.
pub const RESERVED: Range<u64> = 0x5500_0000_0000..0x5540_0000_0000;
/// First address behind the image for mappings.
const FIRST: u64 = 0x5501_0000_0000;
/// What the heap asks of the kernel at a time.
const CHUNK: u64 = 256 << 10;
/// What is set aside for when the kernel gives no more: address space, and memory only once it is used.
const SPARE_BYTES: u64 = 8 << 20;
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
    let addr = match map_with(len, align, PROT_READ | PROT_WRITE, flags, -1) {
        Err(Errno::ENOMEM) => {
            return SPARE.lock().take(len.next_multiple_of(PAGE_SIZE), align).ok_or(Errno::ENOMEM);
        }
        addr => addr?,
    };
    let _ = memory::madvise(addr, len, memory::MADV_DONTDUMP);
    Ok(addr)
}

/// Memory for when the kernel gives none: the program has all the mappings, or all the address space, that it
/// may have.
struct Spare(Range<u64>);

static SPARE: Mutex<Spare> = Mutex::new(Rank::Spare, Spare(0..0));

impl Spare {
    fn take(&mut self, len: u64, align: u64) -> Option<u64> {
        let start = self.0.start.next_multiple_of(align);
        let end = start.checked_add(len).filter(|end| *end <= self.0.end)?;
        self.0.start = end;
        Some(start)
    }
}

/// Sets memory aside for hard times. Without it, if the kernel has none even now.
pub fn provide() {
    if let Ok(addr) = map(SPARE_BYTES, PAGE_SIZE) {
        SPARE.lock().0 = addr..addr + SPARE_BYTES;
    }
}

/// The lock on what is set aside, to be held across a fork.
pub fn spare_lock() -> &'static RawMutex {
    SPARE.raw()
}

/// Maps a window on a file that is written through it.
///
/// # Errors
/// What mmap says.
pub fn map_file(fd: Fd, len: u64, offset: u64) -> Result<u64, Errno> {
    place(len, PAGE_SIZE, |addr| {
        memory::mmap(addr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd.0.into(), offset)
    })
}

/// Maps a file or memory into the reserved range.
///
/// # Errors
/// What mmap says.
pub fn map_with(len: u64, align: u64, prot: u64, flags: u64, fd: i64) -> Result<u64, Errno> {
    place(len, align, |addr| {
        memory::mmap(addr, len.next_multiple_of(PAGE_SIZE), prot, flags | MAP_FIXED_NOREPLACE, fd, 0)
    })
}

/// Finds a place for `len` bytes that `map` can have.
fn place(len: u64, align: u64, map: impl Fn(u64) -> Result<u64, Errno>) -> Result<u64, Errno> {
    let len = len.next_multiple_of(PAGE_SIZE);
    loop {
        let from = NEXT.fetch_add(len + align, Ordering::Relaxed);
        if from + len + align > RESERVED.end {
            return Err(Errno::ENOMEM);
        }
        let addr = from.next_multiple_of(align);
        match map(addr) {
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

static HEAP: Mutex<Heap> =
    Mutex::new(Rank::Heap, Heap { free: [core::ptr::null_mut(); CLASSES], cursor: 0, end: 0 });

/// Bytes of the heap's blocks, free ones of the size classes with them: they stay.
static HEAP_BYTES: AtomicU64 = AtomicU64::new(0);

/// Bytes of memory that the heap takes.
pub fn heap_bytes() -> u64 {
    HEAP_BYTES.load(Ordering::Relaxed)
}

/// The heap's lock, to be held across a fork.
pub fn heap_lock() -> &'static RawMutex {
    HEAP.raw()
}

/// The global allocator: size classes over [`map`]. A block goes back to the list of its class and is never
/// returned to the kernel.
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
        HEAP_BYTES.fetch_add(size, Ordering::Relaxed);
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

// SAFETY: blocks of a class are disjoint, aligned to their size up to a page (mapped ones to a page), and
// used by one owner until freed.
unsafe impl GlobalAlloc for RuntimeHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(&layout) {
            Some(class) => HEAP.lock().take(class),
            None => match map(layout.size() as u64, (layout.align() as u64).max(PAGE_SIZE)) {
                Ok(addr) => {
                    HEAP_BYTES
                        .fetch_add((layout.size() as u64).next_multiple_of(PAGE_SIZE), Ordering::Relaxed);
                    addr as *mut u8
                }
                Err(_) => core::ptr::null_mut(),
            },
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
                HEAP_BYTES.fetch_sub(len, Ordering::Relaxed);
            }
        }
    }
}
