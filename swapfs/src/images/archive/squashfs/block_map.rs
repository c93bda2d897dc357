//! Where the data of one file is.

use std::io;

use rustix::io::Errno;

use super::data::Stored;
use super::field::{corrupt, number};
use super::image::Image;
use super::inode::{FileData, Fragment};
use super::metadata::Metadata;
use super::superblock::Superblock;
use crate::filesystem::extent::clip_read;
use crate::store::Whence;

/// Files of more blocks are refused: 512 GiB in blocks of 128 KiB.
const MOST_BLOCKS: u64 = 1 << 22;
/// How far apart places in a list of block sizes are remembered.
const STRIDE: u64 = 512;

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
