//! Where the bytes of a swap file are kept.
//!
//! A [`Store`] has a size that only [`Store::resize`] changes; pages that were never written read as zeros
//! and take no room. Ranges are checked by [`crate::filesystem::extent`] before they get here.

mod claims;
mod compressed;
mod direct;
mod encrypted;
mod error;
#[cfg(test)]
mod model;
mod place;
mod sparse;
mod xts;

use std::io;
use std::ops::Range;

pub use compressed::{Budget, CompressedStore};
pub use encrypted::EncryptedStore;
pub use error::StoreError;
pub use place::{Encryption, StoreOptions, StorePlace, Stores};
pub use sparse::{PageCache, SparseStore};

/// What is compressed, encrypted or moved past the page cache as a whole.
const BLOCK: usize = 4096;

/// Keeps the bytes of one swap file. Called from several threads at once; a range that is written while it is
/// read may come out half old, half new, as with any file.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Its size in bytes.
    fn size_bytes(&self) -> u64;

    /// Gives it another size. What is cut off is gone; what is added is zeros.
    ///
    /// # Errors
    /// What the medium says; the size is as before then.
    fn resize(&self, size_bytes: u64) -> io::Result<()>;

    /// Room taken on its medium, in bytes.
    fn allocated_bytes(&self) -> u64;

    /// Bytes of data that take this room: more of them where the store compresses.
    fn data_bytes(&self) -> u64 {
        self.allocated_bytes()
    }

    /// Reads all of `buffer` at `offset`.
    ///
    /// # Errors
    /// What the medium says; nothing of `buffer` counts then.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// What the medium says; part of it may be written then.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Frees a range; it reads as zeros from then on.
    ///
    /// # Errors
    /// What the medium says.
    fn punch(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Takes the room for a range now.
    ///
    /// # Errors
    /// What the medium says, such as no space.
    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Returns once all that was written lasts.
    ///
    /// # Errors
    /// What the medium says.
    fn sync(&self) -> io::Result<()>;

    /// The next data or hole at or after `offset`.
    ///
    /// # Errors
    /// `ENXIO` past the end, or where there is no more data.
    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64>;
}

/// What to look for in a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The next data.
    Data,
    /// The next hole.
    Hole,
}

/// The whole blocks around a range, in bytes.
fn around(offset: u64, bytes: u64) -> Range<u64> {
    let block = BLOCK as u64;
    offset - offset % block..(offset + bytes).next_multiple_of(block)
}

/// Refuses, as no space, a range that is not within a store any more: it was cut off after the range had been
/// checked.
fn within(size_bytes: u64, offset: u64, bytes: u64) -> io::Result<()> {
    match offset.checked_add(bytes).is_some_and(|end| end <= size_bytes) {
        true => Ok(()),
        false => Err(rustix::io::Errno::NOSPC.into()),
    }
}

/// Looks for data or holes in an open file. Moves the file's own position, which nothing here uses.
///
/// # Errors
/// As `lseek(2)`.
pub fn seek_sparse(file: &std::fs::File, whence: Whence, offset: u64) -> io::Result<u64> {
    let position = match whence {
        Whence::Data => rustix::fs::SeekFrom::Data(offset),
        Whence::Hole => rustix::fs::SeekFrom::Hole(offset),
    };
    Ok(rustix::fs::seek(file, position)?)
}
