//! A private page filled by its toucher: SIGBUS, (pread,) UFFDIO_COPY, return.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::region::{PAGE_BYTES, Region};
use super::touches::{Order, Touch, time_touches};
use super::{signals, userfault};

/// The descriptor, the page of contents, the file it is read from (-1: none) and the region's start. Written
/// before the handler can run, by the one measuring thread.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);
static CONTENTS: AtomicUsize = AtomicUsize::new(0);
static SOURCE: AtomicI32 = AtomicI32::new(-1);
static START: AtomicUsize = AtomicUsize::new(0);

pub fn measure(pages: usize, order: Order, source: Option<&File>) -> f64 {
    let (region, contents) = (Region::anonymous(pages), Region::anonymous(1));
    contents.touch(0, Touch::Write);
    let watcher = userfault::watch(&region, userfault::Notice::Signal);
    DESCRIPTOR.store(watcher.as_raw_fd(), Ordering::Relaxed);
    CONTENTS.store(contents.address(), Ordering::Relaxed);
    SOURCE.store(source.map_or(-1, AsRawFd::as_raw_fd), Ordering::Relaxed);
    START.store(region.address(), Ordering::Relaxed);
    let _installed = signals::install(libc::SIGBUS, fill);
    time_touches(&region, order, Touch::Write)
}

extern "C" fn fill(_signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel called this as a handler of SIGBUS.
    let page = unsafe { signals::fault_address(info) } & !(PAGE_BYTES - 1);
    let (source, contents) = (SOURCE.load(Ordering::Relaxed), CONTENTS.load(Ordering::Relaxed));
    if source >= 0 {
        let offset = (page - START.load(Ordering::Relaxed)) as i64;
        // SAFETY: `contents` is a page of this module's own that only this handler uses while it is
        // installed.
        let got = unsafe { libc::pread(source, contents as *mut libc::c_void, PAGE_BYTES, offset) };
        if got != PAGE_BYTES as isize {
            signals::give_up();
        }
    }
    // SAFETY: the descriptor watches the measured region, the only one that can raise SIGBUS now; contents is
    // a page.
    if !unsafe { userfault::copy_page(DESCRIPTOR.load(Ordering::Relaxed), page, contents) } {
        signals::give_up();
    }
}
