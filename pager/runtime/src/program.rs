//! What the program is, for `/proc/self/exe` and exec.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, Ordering};

use crate::lock::{Mutex, Rank};
use crate::own_descriptors;
use crate::sys::file::Fd;

/// Path of the program's file.
pub static PATH: Mutex<Vec<u8>> = Mutex::new(Rank::Program, Vec::new());

/// The program's file, where the kernel takes the runtime for the program.
static STAND_IN: AtomicI32 = AtomicI32::new(NONE);

/// From now on `fd` stands for the program's file in the place of the kernel's link.
pub fn set_stand_in(fd: Fd) {
    STAND_IN.store(fd.0, Ordering::Relaxed);
    own_descriptors::note(fd);
}

/// The descriptor that stands in for the program, if there has to be one.
pub fn stand_in() -> Option<Fd> {
    Some(Fd(STAND_IN.load(Ordering::Relaxed))).filter(|fd| fd.0 != NONE)
}

const NONE: i32 = -1;
