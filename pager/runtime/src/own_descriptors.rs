//! Which descriptors may be the runtime's own: one comparison tells most of the program's apart.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::sys::file::Fd;

/// No descriptor of ours is lower, so that one comparison tells most of the program's apart.
static LEAST: AtomicI32 = AtomicI32::new(i32::MAX);

/// Takes note of a descriptor that is ours from now on.
pub fn note(fd: Fd) {
    LEAST.fetch_min(fd.0, Ordering::Relaxed);
}

/// No descriptor of ours is lower.
pub fn least() -> i32 {
    LEAST.load(Ordering::Relaxed)
}
