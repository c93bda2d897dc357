//! Inodes.

use std::io;

use super::field::number;
use super::field::{InodeRef, corrupt};
use super::metadata::Metadata;
use super::superblock::Superblock;

/// As in the kernel, a page.
const LONGEST_TARGET: u64 = 4096;
const NO_FRAGMENT: u64 = 0xffff_ffff;
const NO_XATTRS: u64 = 0xffff_ffff;

/// An inode, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inode {
    pub(super) at: InodeRef,
    pub(super) number: u32,
    pub(super) permissions: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds since 1970.
    pub(super) modified: u32,
    pub(super) links: u32,
    /// Which entry of the xattr table, if any.
    pub(super) xattrs: Option<u32>,
    pub(super) what: What,
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Directory(List),
    File(FileData),
    Symlink(Vec<u8>),
    /// A device, a pipe, a socket.
    NotShown,
}

/// Where a directory's list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct List {
    /// Of its first block, from the directory table.
    pub(super) block: u32,
    /// In that block.
    pub(super) offset: u16,
    /// Three more than there are, for `.` and `..`.
    pub(super) bytes: u32,
    /// The inode number of the directory that it is in.
    pub(super) parent: u32,
}

/// Where a file's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileData {
    pub(super) size_bytes: u64,
    pub(super) hole_bytes: u64,
    /// Of the first data block.
    pub(super) start: u64,
    pub(super) fragment: Option<Fragment>,
    /// Where the sizes of the blocks are listed: a metadata block and a place in it.
    pub(super) sizes: (u64, usize),
}

/// The piece of a fragment block that holds a file's last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) index: u32,
    pub(super) offset: u32,
}

/// Reads the inode at `at`.
///
/// # Errors
/// `InvalidData` if there is none, or it makes no sense.
pub(super) fn read(metadata: &Metadata, superblock: &Superblock, at: InodeRef) -> io::Result<Inode> {
    let block_at =
        superblock.inode_table.checked_add(at.0 >> 16).ok_or_else(|| corrupt("an inode outside"))?;
    let mut cursor = metadata.cursor(block_at, (at.0 & 0xffff) as usize)?;
    let head: [u8; 16] = cursor.array()?;
    let id = |index: u64| -> io::Result<u32> {
        if index >= u64::from(superblock.ids) {
            return Err(corrupt("an owner that is not in the table"));
        }
        Ok(u32::from_le_bytes(metadata.table_entry(superblock.id_table, index)?))
    };
    let mut inode = Inode {
        at,
        number: number::<4>(&head, 12) as u32,
        permissions: (number::<2>(&head, 2) & 0o7777) as u16,
        uid: id(number::<2>(&head, 4))?,
        gid: id(number::<2>(&head, 6))?,
        modified: number::<4>(&head, 8) as u32,
        links: 1,
        xattrs: None,
        what: What::NotShown,
    };
    match number::<2>(&head, 0) {
        1 => basic_directory(&mut inode, &cursor.array()?),
        2 => {
            let fields = cursor.array()?;
            basic_file(&mut inode, &fields, cursor.position());
        }
        kind @ (3 | 10) => {
            inode.links = cursor.number::<4>()? as u32;
            let len = cursor.number::<4>()?;
            if len == 0 || len > LONGEST_TARGET {
                return Err(corrupt("a symlink of an impossible length"));
            }
            inode.what = What::Symlink(cursor.bytes(len as usize)?);
            inode.xattrs = if kind == 10 { xattrs(cursor.number::<4>()?) } else { None };
        }
        4..=7 | 11..=14 => {}
        8 => long_directory(&mut inode, &cursor.array()?),
        9 => {
            let fields = cursor.array()?;
            long_file(&mut inode, &fields, cursor.position())?;
        }
        _ => return Err(corrupt("an inode of an unknown kind")),
    }
    Ok(inode)
}

fn xattrs(index: u64) -> Option<u32> {
    u32::try_from(index).ok().filter(|_| index != NO_XATTRS)
}

fn basic_directory(inode: &mut Inode, fields: &[u8; 16]) {
    inode.links = number::<4>(fields, 4) as u32;
    inode.what = What::Directory(List {
        block: number::<4>(fields, 0) as u32,
        bytes: number::<2>(fields, 8) as u32,
        offset: number::<2>(fields, 10) as u16,
        parent: number::<4>(fields, 12) as u32,
    });
}

fn long_directory(inode: &mut Inode, fields: &[u8; 24]) {
    inode.links = number::<4>(fields, 0) as u32;
    inode.xattrs = xattrs(number::<4>(fields, 20));
    inode.what = What::Directory(List {
        bytes: number::<4>(fields, 4) as u32,
        block: number::<4>(fields, 8) as u32,
        parent: number::<4>(fields, 12) as u32,
        offset: number::<2>(fields, 18) as u16,
    });
}

fn basic_file(inode: &mut Inode, fields: &[u8; 16], sizes: (u64, usize)) {
    inode.what = What::File(FileData {
        start: number::<4>(fields, 0),
        fragment: fragment(number::<4>(fields, 4), number::<4>(fields, 8)),
        size_bytes: number::<4>(fields, 12),
        hole_bytes: 0,
        sizes,
    });
}

fn long_file(inode: &mut Inode, fields: &[u8; 40], sizes: (u64, usize)) -> io::Result<()> {
    inode.links = number::<4>(fields, 24) as u32;
    inode.xattrs = xattrs(number::<4>(fields, 36));
    let size_bytes = number::<8>(fields, 8);
    if i64::try_from(size_bytes).is_err() {
        return Err(corrupt("a file of an impossible size"));
    }
    inode.what = What::File(FileData {
        start: number::<8>(fields, 0),
        size_bytes,
        hole_bytes: number::<8>(fields, 16),
        fragment: fragment(number::<4>(fields, 28), number::<4>(fields, 32)),
        sizes,
    });
    Ok(())
}

fn fragment(index: u64, offset: u64) -> Option<Fragment> {
    (index != NO_FRAGMENT).then_some(Fragment { index: index as u32, offset: offset as u32 })
}
