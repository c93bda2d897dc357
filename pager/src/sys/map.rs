//! The control block, mapped.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use pager_core::shared::Control;

/// The fixed part of a control file, mapped shared; unmapped when dropped.
pub struct ControlMap {
    block: NonNull<Control>,
}

impl ControlMap {
    /// Maps the head of `file`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file is shorter than a [`Control`], else what the kernel says. The file must not shrink later (seal it): a
    /// reader would get SIGBUS.
    pub fn new(file: &File) -> io::Result<Self> {
        let bytes = size_of::<Control>();
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let block = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if block == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(block.cast()).map(|block| ControlMap { block }).ok_or_else(io::Error::last_os_error)
    }
}

impl Deref for ControlMap {
    type Target = Control;

    fn deref(&self) -> &Control {
        // SAFETY: (1) the mapping is as long as a `Control` and page aligned, and lives as long as `self`; (2) every field is an atomic
        // integer, for which all bit patterns are valid, so that other processes may write at any time.
        unsafe { self.block.as_ref() }
    }
}

impl Drop for ControlMap {
    fn drop(&mut self) {
        let start = self.block.as_ptr().cast::<c_void>();
        // SAFETY: the mapping was made by `new` with this length, and no reference outlives `self`.
        unsafe { libc::munmap(start, size_of::<Control>()) };
    }
}

// SAFETY: the block is only reached through `&Control`, whose fields are atomics; the mapping belongs to no thread.
unsafe impl Send for ControlMap {}
// SAFETY: as above.
unsafe impl Sync for ControlMap {}
