//! A file's page mapped by its toucher: SIGSEGV on a guard marker, markers of 64 KiB lifted and the chunk
//! populated.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::region::{PAGE_BYTES, Region};
use super::signals;
use super::touches::{Order, Touch, time_touches};

/// `madvise` advice of Linux 6.13 (6.15 for files), not yet in the libc crate.
const MADV_GUARD_INSTALL: i32 = 102;
const MADV_GUARD_REMOVE: i32 = 103;
/// Fault-around.
const CHUNK_BYTES: usize = 64 << 10;

/// The region's start and end. Written before the handler can run, by the one measuring thread.
static START: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

pub fn measure(file: &File, pages: usize, order: Order) -> f64 {
    let region = Region::file(file, pages);
    region.advise(0, pages, MADV_GUARD_INSTALL);
    START.store(region.address(), Ordering::Relaxed);
    END.store(region.address() + region.bytes(), Ordering::Relaxed);
    let _installed = signals::install(libc::SIGSEGV, lift);
    time_touches(&region, order, Touch::Read)
}

extern "C" fn lift(_signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel called this as a handler of SIGSEGV.
    let address = unsafe { signals::fault_address(info) } & !(PAGE_BYTES - 1);
    let (start, end) = (START.load(Ordering::Relaxed), END.load(Ordering::Relaxed));
    if !(start..end).contains(&address) {
        signals::give_up();
    }
    let chunk = start + (address - start) / CHUNK_BYTES * CHUNK_BYTES;
    let length = CHUNK_BYTES.min(end - chunk);
    for advice in [MADV_GUARD_REMOVE, libc::MADV_POPULATE_READ] {
        // SAFETY: the chunk lies in the measured mapping; both calls only make its pages accessible.
        if unsafe { libc::madvise(chunk as *mut libc::c_void, length, advice) } != 0 {
            signals::give_up();
        }
    }
}
