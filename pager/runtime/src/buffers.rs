//! Bounce buffers: where pages are on their way between files and the program, and records whose buffers are
//! large against the cap.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use pager_core::addr::PAGE_SIZE;

use crate::arena;
use crate::die;
use crate::lock::{Mutex, Rank, RawMutex};
use crate::sys::{Errno, memory};

/// Pages of a buffer: the largest batch of an eviction.
pub const BUFFER_PAGES: usize = 64;
const BUFFER_BYTES: usize = BUFFER_PAGES * PAGE_SIZE as usize;

/// So many that nobody uses keep their memory; of more than one at a time there is rarely need.
const WARM: usize = 2;

/// Buffers that nobody uses.
struct Pool {
    /// With what memory they have; taken first.
    warm: Vec<u64>,
    /// Without any.
    cold: Vec<u64>,
    /// Addresses and lengths of those for records.
    records: Vec<(u64, u64)>,
}

static POOL: Mutex<Pool> =
    Mutex::new(Rank::Buffers, Pool { warm: Vec::new(), cold: Vec::new(), records: Vec::new() });

/// The pool's lock, to be held across a fork.
pub fn pool_lock() -> &'static RawMutex {
    POOL.raw()
}

/// A buffer of [`BUFFER_PAGES`], back in the pool when dropped. Only what is used of it costs memory.
pub struct Buffer(u64);

impl Buffer {
    pub fn take() -> Buffer {
        let mut pool = POOL.lock();
        let pooled = pool.warm.pop().or_else(|| pool.cold.pop());
        drop(pool);
        match pooled {
            Some(addr) => Buffer(addr),
            None => match arena::map(BUFFER_BYTES as u64, PAGE_SIZE) {
                Ok(addr) => Buffer(addr),
                Err(errno) => die::internal(format_args!("no memory for a buffer: {errno:?}")),
            },
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: mapped for good, and owned by this value alone.
        unsafe { core::slice::from_raw_parts(self.0 as *const u8, BUFFER_BYTES) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, borrowed uniquely.
        unsafe { core::slice::from_raw_parts_mut(self.0 as *mut u8, BUFFER_BYTES) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut pool = POOL.lock();
        if pool.warm.len() < WARM {
            return pool.warm.push(self.0);
        }
        drop(pool);
        let _ = memory::madvise(self.0, BUFFER_BYTES as u64, memory::MADV_DONTNEED);
        POOL.lock().cold.push(self.0);
    }
}

/// So much of a record's buffer keeps its memory.
const RECORD_WARM: u64 = 64 << 10;

/// A buffer for a record of any length, back in the pool when dropped. Only what is used of it costs memory.
pub struct RecordBuffer {
    addr: u64,
    capacity: u64,
    len: usize,
}

impl RecordBuffer {
    /// A buffer of `len` bytes, whose contents are of no account.
    ///
    /// # Errors
    /// ENOMEM where the runtime has no more address space.
    pub fn take(len: u64) -> Result<RecordBuffer, Errno> {
        let pooled = {
            let mut pool = POOL.lock();
            let fitting = pool.records.iter().position(|(_, capacity)| *capacity >= len);
            fitting.map(|at| pool.records.swap_remove(at))
        };
        let (addr, capacity) = match pooled {
            Some(buffer) => buffer,
            None => {
                let capacity = len.max(PAGE_SIZE).checked_next_power_of_two().ok_or(Errno::ENOMEM)?;
                (arena::map(capacity, PAGE_SIZE)?, capacity)
            }
        };
        Ok(RecordBuffer { addr, capacity, len: len as usize })
    }
}

impl Deref for RecordBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: mapped for good, at least `len` bytes, and owned by this value alone.
        unsafe { core::slice::from_raw_parts(self.addr as *const u8, self.len) }
    }
}

impl DerefMut for RecordBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, borrowed uniquely.
        unsafe { core::slice::from_raw_parts_mut(self.addr as *mut u8, self.len) }
    }
}

impl Drop for RecordBuffer {
    fn drop(&mut self) {
        if self.capacity > RECORD_WARM {
            let _ =
                memory::madvise(self.addr + RECORD_WARM, self.capacity - RECORD_WARM, memory::MADV_DONTNEED);
        }
        POOL.lock().records.push((self.addr, self.capacity));
    }
}
