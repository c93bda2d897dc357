//! The control block, mapped.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{MmapOptions, MmapRaw};
use pager_core::shared::Control;

/// The fixed part of a control file, mapped shared; unmapped when dropped.
pub struct ControlMap {
    map: MmapRaw,
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
        MmapOptions::new().len(bytes).map_raw(file).map(|map| ControlMap { map })
    }
}

impl Deref for ControlMap {
    type Target = Control;

    fn deref(&self) -> &Control {
        // SAFETY: (1) the mapping is as long as a `Control` and page aligned, and lives as long as `self`; (2) every field is an atomic
        // integer, for which all bit patterns are valid, so that other processes may write at any time.
        unsafe { &*self.map.as_ptr().cast::<Control>() }
    }
}
