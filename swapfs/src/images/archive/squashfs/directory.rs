//! Lists of names: runs of at most 256 names whose inodes lie in one metadata block.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::corrupt;
use super::inode::{InodeRef, List};
use super::metadata::{Cursor, Metadata};
use super::superblock::{Superblock, number};
use crate::filesystem::FileKind;
use crate::images::tree::Listed;

/// What a list holds for `.` and `..`, though they are not in it.
const UNLISTED_BYTES: u32 = 3;
/// A list of more would be no directory but a trap.
const LONGEST_LIST: u32 = 64 << 20;
const LONGEST_NAME: usize = 256;
const MOST_IN_RUN: u64 = 256;
const RUN_HEAD: u32 = 12;
const ENTRY_HEAD: u32 = 8;

/// One name.
struct Entry {
    name: Vec<u8>,
    at: InodeRef,
    /// The number of its basic type.
    kind: u64,
}

/// Reads a list onwards.
struct Entries<'m> {
    cursor: Cursor<'m>,
    left_bytes: u32,
    left_in_run: u64,
    run_block: u64,
}

impl<'m> Entries<'m> {
    fn of(metadata: &'m Metadata, superblock: &Superblock, list: &List) -> io::Result<Option<Self>> {
        let left_bytes = list.bytes.saturating_sub(UNLISTED_BYTES);
        if left_bytes == 0 {
            return Ok(None);
        }
        if left_bytes > LONGEST_LIST {
            return Err(corrupt("a directory of an impossible length"));
        }
        let cursor = metadata.cursor(superblock.directory_table + u64::from(list.block), list.offset.into())?;
        Ok(Some(Entries { cursor, left_bytes, left_in_run: 0, run_block: 0 }))
    }

    fn spend(&mut self, bytes: u32) -> io::Result<()> {
        let left = self.left_bytes.checked_sub(bytes);
        self.left_bytes = left.ok_or_else(|| corrupt("a directory that is cut off"))?;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Entry>> {
        if self.left_in_run == 0 {
            if self.left_bytes == 0 {
                return Ok(None);
            }
            self.spend(RUN_HEAD)?;
            let head: [u8; RUN_HEAD as usize] = self.cursor.array()?;
            self.left_in_run = number::<4>(&head, 0) + 1;
            self.run_block = number::<4>(&head, 4);
            if self.left_in_run > MOST_IN_RUN {
                return Err(corrupt("a run of too many names"));
            }
        }
        self.left_in_run -= 1;
        let head: [u8; ENTRY_HEAD as usize] = self.cursor.array()?;
        let len = number::<2>(&head, 6) as usize + 1;
        if len > LONGEST_NAME {
            return Err(corrupt("a name that is too long"));
        }
        self.spend(ENTRY_HEAD + len as u32)?;
        let name = self.cursor.bytes(len)?;
        let at = InodeRef((self.run_block << 16) | number::<2>(&head, 0));
        Ok(Some(Entry { name, at, kind: number::<2>(&head, 4) }))
    }
}

impl Entry {
    /// Names that would lead elsewhere are left out.
    fn is_name(&self) -> bool {
        !matches!(&*self.name, b"." | b"..") && !self.name.iter().any(|byte| matches!(byte, b'/' | 0))
    }
}

/// Where the inode called `name` is.
///
/// # Errors
/// `InvalidData` if the list makes no sense before the name comes.
pub(super) fn find(
    metadata: &Metadata,
    superblock: &Superblock,
    list: &List,
    name: &OsStr,
) -> io::Result<Option<InodeRef>> {
    let Some(mut entries) = Entries::of(metadata, superblock, list)? else { return Ok(None) };
    while let Some(entry) = entries.next()? {
        if entry.name == name.as_bytes() && entry.is_name() {
            return Ok(Some(entry.at));
        }
    }
    Ok(None)
}

/// All names; of several that are the same, the first.
///
/// # Errors
/// `InvalidData` if the list makes no sense.
pub(super) fn list(metadata: &Metadata, superblock: &Superblock, list: &List) -> io::Result<Vec<Listed>> {
    let Some(mut entries) = Entries::of(metadata, superblock, list)? else { return Ok(Vec::new()) };
    let mut found = BTreeMap::<OsString, FileKind>::new();
    while let Some(entry) = entries.next()? {
        let kind = match entry.kind {
            1 | 8 => FileKind::Directory,
            2 | 9 => FileKind::Regular,
            3 | 10 => FileKind::Symlink,
            _ => continue,
        };
        if entry.is_name() {
            found.entry(OsStr::from_bytes(&entry.name).to_owned()).or_insert(kind);
        }
    }
    Ok(found.into_iter().map(|(name, kind)| Listed { name, kind }).collect())
}
