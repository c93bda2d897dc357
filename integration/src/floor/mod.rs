//! Hand-written minimal fault handlers: the floors that the pager's own fault path is measured against.
//!
//! Each does the least that can resolve one kind of fault and nothing else: no page table, no cap, no counts,
//! one region for the whole process, one region at a time. All of the crate's `unsafe` but one `pre_exec`
//! lives here.

mod guard_map;
mod handler_thread;
mod kernel_map;
mod region;
mod sigbus_copy;
mod signals;
mod touch;
mod touches;
mod userfault;

use std::fs::File;

pub use region::{PAGE_BYTES, Region};
pub use touches::{Order, Touch};

/// Nanoseconds for each first touch of `pages` private pages, filled in the faulting thread by SIGBUS and
/// UFFDIO_COPY from a page in memory.
///
/// # Panics
///
/// When the kernel lacks userfaultfd.
#[must_use]
pub fn private_copy(pages: usize, order: Order) -> f64 {
    sigbus_copy::measure(pages, order, None)
}

/// The same with the contents read from `file` by pread.
///
/// # Panics
///
/// When the kernel lacks userfaultfd, or at an I/O error.
#[must_use]
pub fn private_file_copy(file: &File, pages: usize, order: Order) -> f64 {
    sigbus_copy::measure(pages, order, Some(file))
}

/// The same as [`private_copy`] with a thread that waits for the faults.
///
/// # Panics
///
/// When the kernel lacks userfaultfd.
#[must_use]
pub fn handler_thread(pages: usize, order: Order) -> f64 {
    handler_thread::measure(pages, order)
}

/// Nanoseconds for each first touch of `pages` pages of `file`, mapped behind guard markers that SIGSEGV
/// lifts by 64 KiB.
///
/// # Panics
///
/// When the kernel lacks guard markers on files (before Linux 6.15).
#[must_use]
pub fn map_through(file: &File, pages: usize, order: Order) -> f64 {
    guard_map::measure(file, pages, order)
}

/// Nanoseconds for each first touch of `pages` anonymous pages that the kernel fills.
///
/// # Panics
///
/// When memory is short.
#[must_use]
pub fn kernel_anonymous(pages: usize, order: Order) -> f64 {
    kernel_map::anonymous(pages, order)
}

/// Nanoseconds for each first touch of `pages` pages of `file` that the kernel maps.
///
/// # Panics
///
/// When the file cannot be mapped.
#[must_use]
pub fn kernel_file(file: &File, pages: usize, order: Order) -> f64 {
    kernel_map::file(file, pages, order)
}

/// Nanoseconds for each first write to `pages` pages of a private mapping of `file`.
///
/// # Panics
///
/// When the file cannot be mapped.
#[must_use]
pub fn kernel_private_file(file: &File, pages: usize, order: Order) -> f64 {
    kernel_map::private_file(file, pages, order)
}
