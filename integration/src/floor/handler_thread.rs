//! The usual userfaultfd design: a thread reads events and fills.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;

use super::region::{PAGE_BYTES, Region};
use super::touches::{Order, Touch, time_touches};
use super::userfault;

/// `struct uffd_msg`: an event byte, then for a fault its flags and address.
const MESSAGE_BYTES: usize = 32;
const ADDRESS: std::ops::Range<usize> = 16..24;

pub fn measure(pages: usize, order: Order) -> f64 {
    let (region, contents) = (Region::anonymous(pages), Region::anonymous(1));
    contents.touch(0, Touch::Write);
    let watcher = userfault::watch(&region, userfault::Notice::Event);
    let from = contents.address();
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&watcher, pages, from));
        time_touches(&region, order, Touch::Write)
    })
}

/// Serves one event for each page, which is all that one toucher can raise.
fn serve(watcher: &File, pages: usize, from: usize) {
    let mut reader = watcher;
    for _ in 0..pages {
        let mut message = [0; MESSAGE_BYTES];
        reader.read_exact(&mut message).expect("an event can be read");
        let address = u64::from_ne_bytes(message[ADDRESS].try_into().expect("an address has 8 bytes"));
        let page = usize::try_from(address).expect("an address fits") & !(PAGE_BYTES - 1);
        // SAFETY: the event names a missing page of the watched region, and `from` is a page of contents.
        let filled = unsafe { userfault::copy_page(watcher.as_raw_fd(), page, from) };
        assert!(filled, "UFFDIO_COPY: {}", std::io::Error::last_os_error());
    }
}
