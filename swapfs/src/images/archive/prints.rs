//! What the bytes of an archive were when it was opened, as a number for each chunk: by them contents that
//! are the same are told from contents that were written, where the file's times do not tell.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;

use parking_lot::Mutex;

use crate::images::directory::read_up_to;

/// What has one number; a power of two. A read that is checked reads so much.
pub(super) const CHUNK_BYTES: u64 = 128 << 10;
/// So much has numbers at all: a mount of a huge archive is not to read it whole.
const MOST_BYTES: u64 = 256 << 20;

/// The numbers of the chunks from the first on, as far as they were taken.
#[derive(Debug, Default)]
pub(super) struct Prints {
    /// Its key is random, so nobody can make bytes for a number.
    hash: RandomState,
    /// Held to look or to add one.
    numbers: Mutex<Vec<u64>>,
}

impl Prints {
    /// Reads the next chunk of an archive of `size_bytes` and keeps its number, if `is_unchanged` says after
    /// reading that these are the bytes that were opened. Whether there may be a next one.
    pub(super) fn take_next(&self, file: &File, size_bytes: u64, is_unchanged: impl Fn() -> bool) -> bool {
        let index = self.numbers.lock().len() as u64;
        if index * CHUNK_BYTES >= size_bytes.min(MOST_BYTES) {
            return false;
        }
        match read_chunk(file, index, size_bytes) {
            Ok(bytes) if is_unchanged() => {
                self.numbers.lock().push(self.number(&bytes));
                true
            }
            _ => false,
        }
    }

    /// The chunk with this index, if its bytes are those that were there when its number was taken.
    pub(super) fn read(&self, file: &File, index: u64, size_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let taken = usize::try_from(index).ok().and_then(|index| self.numbers.lock().get(index).copied());
        let Some(taken) = taken else { return Ok(None) };
        let bytes = read_chunk(file, index, size_bytes)?;
        Ok((self.number(&bytes) == taken).then_some(bytes))
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.hash.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}

/// Fewer bytes where the file has become shorter.
fn read_chunk(file: &File, index: u64, size_bytes: u64) -> io::Result<Vec<u8>> {
    let offset = index * CHUNK_BYTES;
    let mut bytes = vec![0; CHUNK_BYTES.min(size_bytes.saturating_sub(offset)) as usize];
    let filled = read_up_to(file, &mut bytes, offset)?;
    bytes.truncate(filled);
    Ok(bytes)
}
