//! The control file, mapped.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::AtomicU8;

use memmap2::{MmapOptions, MmapRaw};
use pager_core::shared::Control;
use pager_core::trace::ring::{Cell, Head, Ring};

/// The fixed part of a control file, mapped shared; unmapped when dropped.
pub struct ControlMap {
    map: MmapRaw,
}

impl ControlMap {
    /// Maps the head of `file`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file is shorter than a [`Control`], else what the kernel says. The file must
    /// not shrink later (seal it): a reader would get SIGBUS.
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
        // SAFETY: (1) the mapping is as long as a `Control` and page aligned, and lives as long as `self`;
        // (2) every field is an atomic integer, for which all bit patterns are valid, so that other processes
        // may write at any time.
        unsafe { &*self.map.as_ptr().cast::<Control>() }
    }
}

/// Owner counts of a swap file's slots, mapped shared; unmapped when dropped.
pub struct OwnersMap {
    map: MmapRaw,
}

impl OwnersMap {
    /// Maps `slots` of them at `offset` of `file`.
    ///
    /// # Errors
    ///
    /// What the kernel says. The file must be long enough, and sealed as for [`ControlMap::new`].
    pub fn new(file: impl AsFd, offset: u64, slots: usize) -> io::Result<Self> {
        MmapOptions::new()
            .offset(offset)
            .len(slots)
            .map_raw(file.as_fd().as_raw_fd())
            .map(|map| OwnersMap { map })
    }
}

impl Deref for OwnersMap {
    type Target = [AtomicU8];

    fn deref(&self) -> &[AtomicU8] {
        // SAFETY: as for a control block: (1) the mapping has that length and lives as long as `self`; (2)
        // any byte is a valid `AtomicU8`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU8>(), self.map.len()) }
    }
}

/// The ring for recorded events, mapped shared; unmapped when dropped.
pub struct RingMap {
    map: MmapRaw,
    cells: usize,
}

impl RingMap {
    /// Maps the ring with `cells` cells at `offset` of `file`.
    ///
    /// # Errors
    ///
    /// What the kernel says. The file must be long enough, and sealed as for [`ControlMap::new`].
    pub fn new(file: impl AsFd, offset: u64, cells: usize) -> io::Result<Self> {
        let bytes = Ring::bytes(cells as u64) as usize;
        MmapOptions::new()
            .offset(offset)
            .len(bytes)
            .map_raw(file.as_fd().as_raw_fd())
            .map(|map| RingMap { map, cells })
    }

    /// The ring.
    pub fn get(&self) -> Ring<'_> {
        let head = self.map.as_ptr().cast::<Head>();
        // SAFETY: (1) the mapping begins on a page and has room for a head and `cells` cells, and lives as
        // long as `self`; (2) both are made of atomics and padding that nobody reads, for which all bit
        // patterns are valid.
        unsafe { Ring::new(&*head, std::slice::from_raw_parts(head.add(1).cast::<Cell>(), self.cells)) }
    }
}
