//! Lists of names: runs of at most 256 names whose inodes lie in one metadata block.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::field::InodeRef;
use super::field::corrupt;
use super::field::number;
use super::inode::List;
use super::metadata::{Cursor, Metadata};
use super::superblock::Superblock;
use crate::filesystem::FileKind;

/// What a list holds for `.` and `..`, though they are not in it.
const UNLISTED_BYTES: u32 = 3;
/// Half a million names; a list of more would be no directory but a trap.
const LONGEST_LIST: u32 = 16 << 20;
/// What is kept: three or four times as much memory.
const KEPT_LIST_BYTES: usize = 16 << 20;
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
        let cursor =
            metadata.cursor(superblock.directory_table + u64::from(list.block), list.offset.into())?;
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

/// The names of one directory.
pub(super) type Names = BTreeMap<OsString, Found>;

/// What stands behind a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) at: InodeRef,
    /// None for what is not shown.
    pub(super) kind: Option<FileKind>,
}

/// The directories that were last used.
#[derive(Debug)]
pub(super) struct Directories {
    /// By where their lists are. Held for a look only, never during I/O.
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    by_place: LruCache<List, Arc<Names>>,
    list_bytes: usize,
}

impl Default for Directories {
    fn default() -> Self {
        Directories { kept: Mutex::new(Kept { by_place: LruCache::unbounded(), list_bytes: 0 }) }
    }
}

impl Kept {
    fn put(&mut self, list: List, names: Arc<Names>) {
        self.list_bytes += list.bytes as usize;
        if self.by_place.put(list, names).is_some() {
            self.list_bytes -= list.bytes as usize;
        }
        while self.list_bytes > KEPT_LIST_BYTES {
            let Some((old, _)) = self.by_place.pop_lru() else { break };
            self.list_bytes -= old.bytes as usize;
        }
    }
}

impl Directories {
    /// All names of a directory; of several that are the same, the first.
    ///
    /// # Errors
    /// `InvalidData` if the list makes no sense.
    pub(super) fn read(
        &self,
        metadata: &Metadata,
        superblock: &Superblock,
        list: &List,
    ) -> io::Result<Arc<Names>> {
        if let Some(names) = self.kept.lock().by_place.get(list) {
            return Ok(names.clone());
        }
        let names = Arc::new(read(metadata, superblock, list)?);
        self.kept.lock().put(*list, names.clone());
        Ok(names)
    }
}

fn read(metadata: &Metadata, superblock: &Superblock, list: &List) -> io::Result<Names> {
    let mut names = Names::new();
    let Some(mut entries) = Entries::of(metadata, superblock, list)? else { return Ok(names) };
    while let Some(entry) = entries.next()? {
        let kind = match entry.kind {
            1 | 8 => Some(FileKind::Directory),
            2 | 9 => Some(FileKind::Regular),
            3 | 10 => Some(FileKind::Symlink),
            _ => None,
        };
        if entry.is_name() {
            names.entry(OsStr::from_bytes(&entry.name).to_owned()).or_insert(Found { at: entry.at, kind });
        }
    }
    Ok(names)
}
