//! A look at pages of a file as the kernel keeps them: a mapping in memory of the runtime's, for a moment.

use pager_core::addr::PAGE_SIZE;

use crate::buffers::{BUFFER_PAGES, Buffer};
use crate::sys::file::Fd;
use crate::sys::memory::{
    self, MADV_DONTDUMP, MADV_POPULATE_READ, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE,
};
use crate::sys::memory::{PROT_READ, PROT_WRITE};
use crate::sys::{Errno, call};

const MINCORE: u64 = 27;

/// Pages of a file, mapped until it is dropped.
pub struct Window {
    buffer: Buffer,
    pages: usize,
}

impl Window {
    /// Up to [`BUFFER_PAGES`] pages of the file from `offset`, a multiple of the page size, on.
    ///
    /// # Errors
    /// What mmap says.
    pub fn open(fd: Fd, offset: u64, pages: usize) -> Result<Window, Errno> {
        let window = Window { buffer: Buffer::take(), pages: pages.min(BUFFER_PAGES) };
        memory::mmap(window.addr(), window.bytes(), PROT_READ, MAP_PRIVATE | MAP_FIXED, fd.0.into(), offset)?;
        Ok(window)
    }

    fn addr(&self) -> u64 {
        self.buffer.as_ptr() as u64
    }

    fn bytes(&self) -> u64 {
        self.pages as u64 * PAGE_SIZE
    }

    /// Has the kernel bring the pages in, as a touch does: a file in memory then has them.
    pub fn populate(&self) {
        let _ = memory::madvise(self.addr(), self.bytes(), MADV_POPULATE_READ);
    }

    /// Which pages the kernel has in memory, as mincore(2) tells whoever has this file mapped.
    pub fn in_core(&self) -> [bool; BUFFER_PAGES] {
        let mut told = [0u8; BUFFER_PAGES];
        let _ = call!(MINCORE, self.addr(), self.bytes(), told.as_mut_ptr());
        told.map(|byte| byte & 1 != 0)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let (prot, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED);
        if let Err(errno) = memory::mmap(self.addr(), self.bytes(), prot, flags, -1, 0) {
            crate::die::internal(format_args!("no memory for a buffer: {errno:?}"));
        }
        let _ = memory::madvise(self.addr(), self.bytes(), MADV_DONTDUMP);
    }
}
