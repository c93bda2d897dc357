//! Reading and writing a file past the page cache (O_DIRECT): whole blocks only, from memory that is aligned.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::OFlags;

use super::BLOCK;

thread_local! {
    /// This thread's buffer, longer than needed so that an aligned part of it is long enough.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A file that is open for direct I/O.
#[derive(Debug)]
pub(super) struct DirectFile(File);

impl DirectFile {
    /// Opens `file` once more, for direct I/O, and tries a read.
    ///
    /// # Errors
    /// `EINVAL` where its file system has none; others where `/proc` is missing.
    pub(super) fn open(file: &File) -> io::Result<Self> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = (OFlags::DIRECT | OFlags::CLOEXEC).bits() as i32;
        let direct = DirectFile(OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?);
        // Some file systems let it be opened and refuse to be read.
        with_buffer(BLOCK, |buffer| direct.0.read_at(buffer, 0))?;
        Ok(direct)
    }

    /// Whether a range is of whole blocks.
    pub(super) fn takes(offset: u64, bytes: usize) -> bool {
        offset.is_multiple_of(BLOCK as u64) && bytes.is_multiple_of(BLOCK)
    }

    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        with_buffer(buffer.len(), |aligned| {
            self.0.read_exact_at(aligned, offset)?;
            buffer.copy_from_slice(aligned);
            Ok(())
        })
    }

    pub(super) fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        with_buffer(data.len(), |aligned| {
            aligned.copy_from_slice(data);
            self.0.write_all_at(aligned, offset)
        })
    }
}

/// Runs `use_it` with a buffer of this thread whose address is a multiple of [`BLOCK`], which is enough for
/// every device.
fn with_buffer<T>(bytes: usize, use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < bytes + BLOCK {
            buffer.resize(bytes + BLOCK, 0);
        }
        let start = buffer.as_ptr().align_offset(BLOCK);
        use_it(&mut buffer[start..start + bytes])
    })
}
