//! File data: whole blocks one after the other, and the last bytes of several files together in fragment
//! blocks.

use std::io;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use rustix::io::Errno;

use super::codec::Codec;
use super::field::corrupt;
use super::field::number;
use super::image::Image;
use super::inode::{FileData, Fragment};
use super::metadata::Metadata;
use super::superblock::Superblock;
use crate::filesystem::extent::clip_read;
use crate::images::archive::Medium;
use crate::store::Whence;

/// What is kept of decompressed blocks.
const KEPT_BYTES: usize = 16 << 20;
/// Files of more blocks are refused: 512 GiB in blocks of 128 KiB.
const MOST_BLOCKS: u64 = 1 << 22;
/// How far apart places in a list of block sizes are remembered.
const STRIDE: u64 = 512;
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
struct Stored {
    at: u64,
    /// With [`IS_PLAIN`] set where it is not compressed; zero is a hole.
    size: u32,
}

impl Stored {
    fn bytes(self) -> u32 {
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
    fn read(&self, stored: Stored, buffer: &mut [u8], offset: usize) -> io::Result<()> {
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

/// Where the blocks of one file are.
#[derive(Debug)]
pub(super) struct BlockMap {
    file: FileData,
    /// Whole blocks, and the last one where it is not in a fragment.
    blocks: u64,
    /// For every [`STRIDE`]th block: its place in the list of sizes, and its data's.
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    sizes: (u64, usize),
    data: u64,
}

impl BlockMap {
    /// Goes through the list of the file's block sizes once.
    ///
    /// # Errors
    /// `InvalidData` if it makes no sense, `EFBIG` if it is too long.
    pub(super) fn read(metadata: &Metadata, superblock: &Superblock, file: FileData) -> io::Result<Self> {
        let block_bytes = u64::from(superblock.block_bytes);
        let blocks = match file.fragment {
            Some(_) => file.size_bytes / block_bytes,
            None => file.size_bytes.div_ceil(block_bytes),
        };
        if blocks > MOST_BLOCKS {
            return Err(Errno::FBIG.into());
        }
        if file.fragment.is_some_and(|fragment| fragment.index >= superblock.fragments) {
            return Err(corrupt("a fragment that is not in the table"));
        }
        let mut map = BlockMap { file, blocks, marks: vec![Mark { sizes: file.sizes, data: file.start }] };
        for first in (STRIDE..blocks).step_by(STRIDE as usize) {
            let (sizes, data) = map.walk(metadata, first - STRIDE, STRIDE, |_, _| true)?;
            map.marks.push(Mark { sizes, data });
        }
        Ok(map)
    }

    /// Calls `each` for `count` blocks from `first` on, until it says no; says where the list and the data go
    /// on.
    fn walk(
        &self,
        metadata: &Metadata,
        first: u64,
        count: u64,
        mut each: impl FnMut(u64, Stored) -> bool,
    ) -> io::Result<((u64, usize), u64)> {
        let mark = self.marks[(first / STRIDE) as usize];
        let mut cursor = metadata.cursor(mark.sizes.0, mark.sizes.1)?;
        let mut at = mark.data;
        for block in first / STRIDE * STRIDE..first + count {
            let stored = Stored { at, size: cursor.number::<4>()? as u32 };
            at = at
                .checked_add(stored.bytes().into())
                .ok_or_else(|| corrupt("a data block that lies outside"))?;
            if block >= first && !each(block, stored) {
                break;
            }
        }
        Ok((cursor.position(), at))
    }

    /// Fills `buffer`, or as much of it as the file has left.
    pub(super) fn read_at(&self, image: &Image, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = clip_read(self.file.size_bytes, offset, buffer.len()).len;
        if len == 0 {
            return Ok(0);
        }
        let block_bytes = u64::from(image.superblock.block_bytes);
        let (first, last) = (offset / block_bytes, (offset + len as u64 - 1) / block_bytes);
        let mut stored = Vec::new();
        let whole = self.blocks.min(last + 1).saturating_sub(first);
        if whole > 0 {
            self.walk(&image.metadata, first, whole, |_, block| {
                stored.push(block);
                true
            })?;
        }
        let (mut rest, mut at) = (&mut buffer[..len], offset);
        for block in first..=last {
            let inside = (at % block_bytes) as usize;
            let part = rest.len().min(block_bytes as usize - inside);
            let (now, later) = rest.split_at_mut(part);
            match stored.get((block - first) as usize) {
                Some(hole) if hole.bytes() == 0 => now.fill(0),
                Some(stored) => image.blocks.read(*stored, now, inside)?,
                None => self.read_fragment(image, now, inside)?,
            }
            (rest, at) = (later, at + part as u64);
        }
        Ok(len)
    }

    fn read_fragment(&self, image: &Image, buffer: &mut [u8], inside: usize) -> io::Result<()> {
        let Some(Fragment { index, offset }) = self.file.fragment else {
            return Err(corrupt("a file without its end"));
        };
        let entry: [u8; 16] = image.metadata.table_entry(image.superblock.fragment_table, index.into())?;
        let stored = Stored { at: number::<8>(&entry, 0), size: number::<4>(&entry, 8) as u32 };
        image.blocks.read(stored, buffer, (offset as usize).saturating_add(inside))
    }

    /// The next data or hole at or after `offset`, by whole blocks.
    pub(super) fn seek(&self, image: &Image, whence: Whence, offset: u64) -> io::Result<u64> {
        if offset >= self.file.size_bytes {
            return Err(Errno::NXIO.into());
        }
        let block_bytes = u64::from(image.superblock.block_bytes);
        let first = offset / block_bytes;
        let wanted = |stored: Stored| (stored.bytes() == 0) == (whence == Whence::Hole);
        let mut found = None;
        if first < self.blocks {
            self.walk(&image.metadata, first, self.blocks - first, |block, stored| {
                found = wanted(stored).then_some(block);
                found.is_none()
            })?;
        }
        // What is in a fragment is data.
        let found = found.unwrap_or(if whence == Whence::Data { first.max(self.blocks) } else { u64::MAX });
        let position = found.saturating_mul(block_bytes).clamp(offset, self.file.size_bytes);
        if whence == Whence::Data && position == self.file.size_bytes {
            return Err(Errno::NXIO.into());
        }
        Ok(position)
    }
}
