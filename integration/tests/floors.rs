//! The hand-written handlers that the bench compares with do resolve every fault.
//!
//! Assumes: userfaultfd, guard markers on files (Linux 6.15). One test: the handlers are process-wide.

use std::fs::File;

use integration::floor::{self, Order, PAGE_BYTES};
use integration::scratch::Scratch;

#[test]
fn every_floor_can_be_measured() {
    const PAGES: usize = 256;
    let scratch = Scratch::new("floors");
    let file =
        File::open(scratch.file("pages", vec![7; PAGES * PAGE_BYTES])).expect("the file was just made");
    for order in [Order::Sequential, Order::Scattered] {
        let figures = [
            ("private copy", floor::private_copy(PAGES, order)),
            ("private file copy", floor::private_file_copy(&file, PAGES, order)),
            ("map through", floor::map_through(&file, PAGES, order)),
            ("handler thread", floor::handler_thread(PAGES, order)),
            ("kernel anonymous", floor::kernel_anonymous(PAGES, order)),
            ("kernel file", floor::kernel_file(&file, PAGES, order)),
            ("kernel private file", floor::kernel_private_file(&file, PAGES, order)),
        ];
        for (name, nanoseconds) in figures {
            println!("{order:?} {name}: {nanoseconds:.0} ns a page");
            assert!(nanoseconds > 0.0 && nanoseconds < 1e9, "{name}: {nanoseconds}");
        }
    }
}
