//! Metadata: inodes, directory lists and tables, in blocks of at most 8 KiB that are compressed each on its
//! own.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::codec::Codec;
use super::field::corrupt;
use super::field::number;
use crate::images::archive::Medium;

const LARGEST_BLOCK: usize = 8 << 10;
/// 4 MiB of them are kept.
const KEPT_BLOCKS: NonZeroUsize = NonZeroUsize::new(512).unwrap();
const IS_PLAIN: u16 = 1 << 15;

#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// Where the block after it begins.
    next: u64,
}

/// All metadata of an image.
#[derive(Debug)]
pub(super) struct Metadata {
    medium: Arc<dyn Medium>,
    codec: Codec,
    /// By where they begin. Held for a look only, never during I/O.
    kept: Mutex<LruCache<u64, Arc<Block>>>,
}

/// A place in a run of metadata blocks that is read onwards from.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'m> {
    metadata: &'m Metadata,
    block_at: u64,
    block: Arc<Block>,
    offset: usize,
}

impl Metadata {
    pub(super) fn new(medium: Arc<dyn Medium>, codec: Codec) -> Self {
        Metadata { medium, codec, kept: Mutex::new(LruCache::new(KEPT_BLOCKS)) }
    }

    fn block(&self, at: u64) -> io::Result<Arc<Block>> {
        if let Some(block) = self.kept.lock().get(&at) {
            return Ok(block.clone());
        }
        let mut head = [0; 2];
        self.medium.read_exact_at(&mut head, at)?;
        let head = u16::from_le_bytes(head);
        let len = usize::from(head & !IS_PLAIN);
        if len == 0 || len > LARGEST_BLOCK {
            return Err(corrupt("a metadata block of an impossible length"));
        }
        let mut stored = vec![0; len];
        self.medium.read_exact_at(&mut stored, at + 2)?;
        let bytes =
            if head & IS_PLAIN != 0 { stored } else { self.codec.decompress(&stored, LARGEST_BLOCK)? };
        if bytes.is_empty() {
            return Err(corrupt("an empty metadata block"));
        }
        let block = Arc::new(Block { bytes, next: at + 2 + len as u64 });
        self.kept.lock().put(at, block.clone());
        Ok(block)
    }

    /// The place `offset` bytes into the block that begins at `block_at`.
    ///
    /// # Errors
    /// `InvalidData` where there is no block, or none so long.
    pub(super) fn cursor(&self, block_at: u64, offset: usize) -> io::Result<Cursor<'_>> {
        let block = self.block(block_at)?;
        if offset > block.bytes.len() {
            return Err(corrupt("a place outside of its metadata block"));
        }
        Ok(Cursor { metadata: self, block_at, block, offset })
    }

    /// The entry `index` of `N` bytes in a table: an array of positions of blocks, at `table`, which hold the
    /// entries.
    ///
    /// # Errors
    /// `InvalidData`, and what the medium says.
    pub(super) fn table_entry<const N: usize>(&self, table: u64, index: u64) -> io::Result<[u8; N]> {
        let in_block = (LARGEST_BLOCK / N) as u64;
        let position =
            table.checked_add(8 * (index / in_block)).ok_or_else(|| corrupt("a table that lies outside"))?;
        let mut block_at = [0; 8];
        self.medium.read_exact_at(&mut block_at, position)?;
        let mut entry = [0; N];
        let offset = (index % in_block) as usize * N;
        self.cursor(u64::from_le_bytes(block_at), offset)?.read(&mut entry)?;
        Ok(entry)
    }

    /// Bytes that are stored as they are.
    ///
    /// # Errors
    /// What the medium says.
    pub(super) fn plain<const N: usize>(&self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.medium.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

impl Cursor<'_> {
    /// Where it is: the beginning of a block, and the place in it.
    pub(super) fn position(&self) -> (u64, usize) {
        (self.block_at, self.offset)
    }

    /// The rest of the block at hand, never empty; it is passed over, or as much of it as `most`.
    ///
    /// # Errors
    /// As reading a block.
    pub(super) fn take(&mut self, most: usize) -> io::Result<Taken> {
        if self.offset == self.block.bytes.len() {
            self.block_at = self.block.next;
            self.block = self.metadata.block(self.block_at)?;
            self.offset = 0;
        }
        let from = self.offset;
        self.offset = self.block.bytes.len().min(from.saturating_add(most));
        Ok(Taken { block: self.block.clone(), from, to: self.offset })
    }

    /// Fills `buffer` and passes over what it took.
    ///
    /// # Errors
    /// As reading blocks.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let taken = self.take(buffer.len() - filled)?;
            let bytes = taken.bytes();
            buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        }
        Ok(())
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// As reading blocks.
    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// The next `len` bytes, which the caller has found not to be too many.
    ///
    /// # Errors
    /// As reading blocks.
    pub(super) fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// The next number of `N` bytes.
    ///
    /// # Errors
    /// As reading blocks.
    pub(super) fn number<const N: usize>(&mut self) -> io::Result<u64> {
        Ok(number::<N>(&self.array::<N>()?, 0))
    }
}

/// A part of a block.
#[derive(Debug)]
pub(super) struct Taken {
    block: Arc<Block>,
    from: usize,
    to: usize,
}

impl Taken {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block.bytes[self.from..self.to]
    }
}
