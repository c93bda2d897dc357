//! File data: whole blocks one after the other, and the last bytes of several files together in fragment
//! blocks.

use std::io;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::codec::Codec;
use super::field::corrupt;
use crate::images::archive::Medium;

/// What is kept of decompressed blocks.
const KEPT_BYTES: usize = 16 << 20;
const IS_PLAIN: u32 = 1 << 24;

/// The data blocks of an image.
#[derive(Debug)]
pub(super) struct Blocks {
    medium: Arc<dyn Medium>,
    codec: Codec,
    block_bytes: u32,
    /// Held for a look only, never during I/O.
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    by_place: LruCache<Stored, Arc<Vec<u8>>>,
    bytes: usize,
}

/// A stored block: where, and how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stored {
    pub(super) at: u64,
    /// With [`IS_PLAIN`] set where it is not compressed; zero is a hole.
    pub(super) size: u32,
}

impl Stored {
    pub(super) fn bytes(self) -> u32 {
        self.size & (IS_PLAIN - 1)
    }
}

impl Kept {
    fn put(&mut self, at: Stored, block: Arc<Vec<u8>>) {
        self.bytes += block.len();
        if let Some(old) = self.by_place.put(at, block) {
            self.bytes -= old.len();
        }
        while self.bytes > KEPT_BYTES {
            let Some((_, old)) = self.by_place.pop_lru() else { break };
            self.bytes -= old.len();
        }
    }
}

impl Blocks {
    pub(super) fn new(medium: Arc<dyn Medium>, codec: Codec, block_bytes: u32) -> Self {
        let kept = Mutex::new(Kept { by_place: LruCache::unbounded(), bytes: 0 });
        Blocks { medium, codec, block_bytes, kept }
    }

    /// Fills `buffer` from `offset` in the block, which must have so many bytes.
    pub(super) fn read(&self, stored: Stored, buffer: &mut [u8], offset: usize) -> io::Result<()> {
        if stored.bytes() > self.block_bytes {
            return Err(corrupt("a data block of an impossible length"));
        }
        let too_short = || corrupt("a data block that is too short");
        if stored.size & IS_PLAIN != 0 {
            let end = offset.checked_add(buffer.len()).ok_or_else(too_short)?;
            if end > stored.bytes() as usize {
                return Err(too_short());
            }
            return self.medium.read_exact_at(buffer, stored.at.saturating_add(offset as u64));
        }
        let block = self.decompressed(stored)?;
        let from = block.get(offset..).and_then(|rest| rest.get(..buffer.len())).ok_or_else(too_short)?;
        buffer.copy_from_slice(from);
        Ok(())
    }

    fn decompressed(&self, stored: Stored) -> io::Result<Arc<Vec<u8>>> {
        if let Some(block) = self.kept.lock().by_place.get(&stored) {
            return Ok(block.clone());
        }
        let mut bytes = vec![0; stored.bytes() as usize];
        self.medium.read_exact_at(&mut bytes, stored.at)?;
        let block = Arc::new(self.codec.decompress(&bytes, self.block_bytes as usize)?);
        self.kept.lock().put(stored, block.clone());
        Ok(block)
    }
}
