//! The head of an image: where everything is.

use super::codec::Codec;
use super::field::InodeRef;
use super::field::number;
use crate::images::archive::{ArchiveError, Medium};

const MAGIC: &[u8; 4] = b"hsqs";
const SUPERBLOCK_BYTES: usize = 96;
const SMALLEST_BLOCK: u32 = 4 << 10;
const LARGEST_BLOCK: u32 = 1 << 20;
/// What stands in place of a table that is not there.
const NONE: u64 = u64::MAX;

/// What is used of it, checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Superblock {
    /// Bytes of a data block.
    pub(super) block_bytes: u32,
    pub(super) codec: Codec,
    /// Of the image.
    pub(super) used_bytes: u64,
    pub(super) inodes: u32,
    pub(super) fragments: u32,
    pub(super) ids: u16,
    pub(super) root: InodeRef,
    pub(super) id_table: u64,
    pub(super) xattr_table: Option<u64>,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) fragment_table: u64,
}

/// Whether `start`, the first bytes of a file, is the head of a squashfs image (of this byte order).
pub(crate) fn is_squashfs(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

impl Superblock {
    /// Reads and checks it.
    ///
    /// # Errors
    /// [`ArchiveError`] for the first field that makes no sense.
    pub(super) fn read(medium: &dyn Medium) -> Result<Self, ArchiveError> {
        let real_bytes = medium.size_bytes();
        if real_bytes < SUPERBLOCK_BYTES as u64 {
            return Err(ArchiveError::Truncated { at: 0, needed: SUPERBLOCK_BYTES as u64 });
        }
        let mut bytes = [0; SUPERBLOCK_BYTES];
        medium.read_exact_at(&mut bytes, 0)?;
        let (major, minor) = (number::<2>(&bytes, 28), number::<2>(&bytes, 30));
        if (major, minor) != (4, 0) {
            let what = format!("it is a squashfs of version {major}.{minor}, and only 4.0 is read here");
            return Err(ArchiveError::Unsupported(what));
        }
        let used_bytes = number::<8>(&bytes, 40);
        if used_bytes > real_bytes {
            return Err(ArchiveError::Truncated { at: real_bytes, needed: used_bytes - real_bytes });
        }
        let block_bytes = number::<4>(&bytes, 12) as u32;
        let is_block =
            block_bytes.is_power_of_two() && (SMALLEST_BLOCK..=LARGEST_BLOCK).contains(&block_bytes);
        if !is_block || number::<2>(&bytes, 22) != u64::from(block_bytes.ilog2()) {
            return Err(ArchiveError::Damaged { at: 12, why: "a block size that cannot be" });
        }
        let table = |at: usize| match number::<8>(&bytes, at) {
            table if table < used_bytes => Ok(table),
            _ => Err(ArchiveError::Damaged { at: at as u64, why: "a table that lies outside" }),
        };
        let optional =
            |at: usize| if number::<8>(&bytes, at) == NONE { Ok(None) } else { table(at).map(Some) };
        let fragments = number::<4>(&bytes, 16) as u32;
        Ok(Superblock {
            used_bytes,
            inodes: number::<4>(&bytes, 4) as u32,
            block_bytes,
            codec: Codec::numbered(number::<2>(&bytes, 20) as u16)?,
            fragments,
            ids: number::<2>(&bytes, 26) as u16,
            root: InodeRef(number::<8>(&bytes, 32)),
            id_table: table(48)?,
            xattr_table: optional(56)?,
            inode_table: table(64)?,
            directory_table: table(72)?,
            fragment_table: if fragments == 0 { 0 } else { table(80)? },
        })
    }
}
