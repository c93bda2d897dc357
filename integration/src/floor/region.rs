//! A mapping that is unmapped on drop.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;

use super::touch::Touch;

/// The size of a page on x86-64.
pub const PAGE_BYTES: usize = 4096;

/// A private mapping of whole pages.
#[derive(Debug)]
pub struct Region {
    start: *mut u8,
    pages: usize,
}

impl Region {
    /// `pages` anonymous pages that may be read and written, of small pages only.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    #[must_use]
    pub fn anonymous(pages: usize) -> Self {
        let region =
            Self::map(pages, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
        region.advise(0, pages, libc::MADV_NOHUGEPAGE);
        region
    }

    /// The first `pages` pages of `file`, to read.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    #[must_use]
    pub fn file(file: &File, pages: usize) -> Self {
        Self::map(pages, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    /// The first `pages` pages of `file`, to read and write privately.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    #[must_use]
    pub fn private_file(file: &File, pages: usize) -> Self {
        Self::map(pages, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    fn map(pages: usize, protection: i32, flags: i32, fd: i32) -> Self {
        // SAFETY: the kernel chooses the address, so no other mapping is replaced.
        let start = unsafe { libc::mmap(ptr::null_mut(), pages * PAGE_BYTES, protection, flags, fd, 0) };
        assert_ne!(start, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        Self { start: start.cast(), pages }
    }

    /// How many pages.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// The address of its first byte.
    #[must_use]
    pub fn address(&self) -> usize {
        self.start as usize
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pages * PAGE_BYTES
    }

    /// Gives `advice` on `pages` pages from page `first`.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    pub fn advise(&self, first: usize, pages: usize, advice: i32) {
        assert!(first + pages <= self.pages, "the advice leaves the region");
        // SAFETY: the range lies in this mapping, which nobody holds references into.
        let result =
            unsafe { libc::madvise(self.start.add(first * PAGE_BYTES).cast(), pages * PAGE_BYTES, advice) };
        assert_eq!(result, 0, "madvise {advice}: {}", std::io::Error::last_os_error());
    }

    /// Loads or stores the first byte of `page`.
    pub fn touch(&self, page: usize, touch: Touch) {
        assert!(page < self.pages, "the touch leaves the region");
        // SAFETY: the page lies in this mapping; its fault handler, where there is one, makes it accessible.
        let at = unsafe { self.start.add(page * PAGE_BYTES) };
        match touch {
            // SAFETY: `at` is in bounds and nobody writes it at the same time.
            Touch::Read => drop(unsafe { at.read_volatile() }),
            // SAFETY: `at` is in bounds, writable where writes are asked for, and nobody else uses it.
            Touch::Write => unsafe { at.write_volatile(1) },
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing borrows from it.
        unsafe { libc::munmap(self.start.cast(), self.bytes()) };
    }
}
