//! Extended attributes.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;

use super::field::corrupt;
use super::field::number;
use super::metadata::{Cursor, Metadata};
use super::superblock::Superblock;
use crate::images::tree::Xattrs;

/// As in the kernel: the most that a list of names, and one value, may be.
const MOST_NAME_BYTES: usize = 64 << 10;
const LONGEST_VALUE: u64 = 64 << 10;
/// Values of one file in all; no file system keeps more.
const MOST_VALUE_BYTES: usize = 1 << 20;
/// A value that is kept elsewhere, as it is shared.
const ELSEWHERE: u64 = 0x100;

/// The attributes of the table's entry `index`.
///
/// # Errors
/// `InvalidData` if they make no sense, or are more than any file system has.
pub(super) fn read(metadata: &Metadata, superblock: &Superblock, index: Option<u32>) -> io::Result<Xattrs> {
    let (Some(index), Some(table)) = (index, superblock.xattr_table) else { return Ok(Xattrs::new()) };
    let head: [u8; 16] = metadata.plain(table)?;
    let (pairs_at, entries) = (number::<8>(&head, 0), number::<4>(&head, 8));
    if u64::from(index) >= entries {
        return Err(corrupt("attributes that are not in the table"));
    }
    let entry: [u8; 16] = metadata.table_entry(table + 16, index.into())?;
    let mut cursor = at(metadata, pairs_at, number::<8>(&entry, 0))?;
    let mut xattrs = Xattrs::new();
    let (mut name_bytes, mut value_bytes) = (0, 0);
    for _ in 0..number::<4>(&entry, 8) {
        let kind = cursor.number::<2>()?;
        let len = cursor.number::<2>()? as usize;
        let prefix: &[u8] = match kind & 0xff {
            0 => b"user.",
            1 => b"trusted.",
            2 => b"security.",
            _ => return Err(corrupt("an attribute of an unknown kind")),
        };
        let name = [prefix, &cursor.bytes(len)?].concat();
        let value = if kind & ELSEWHERE == 0 {
            value(&mut cursor)?
        } else {
            elsewhere(metadata, pairs_at, &mut cursor)?
        };
        name_bytes += name.len() + 1;
        value_bytes += value.len();
        if name_bytes > MOST_NAME_BYTES || value_bytes > MOST_VALUE_BYTES {
            return Err(corrupt("more attributes than a file can have"));
        }
        if len > 0 && !name.contains(&0) {
            xattrs.insert(OsString::from_vec(name), value);
        }
    }
    Ok(xattrs)
}

fn at(metadata: &Metadata, pairs_at: u64, reference: u64) -> io::Result<Cursor<'_>> {
    let block =
        pairs_at.checked_add(reference >> 16).ok_or_else(|| corrupt("attributes that lie outside"))?;
    metadata.cursor(block, (reference & 0xffff) as usize)
}

fn value(cursor: &mut Cursor<'_>) -> io::Result<Vec<u8>> {
    let len = cursor.number::<4>()?;
    if len > LONGEST_VALUE {
        return Err(corrupt("an attribute that is too long"));
    }
    cursor.bytes(len as usize)
}

fn elsewhere(metadata: &Metadata, pairs_at: u64, cursor: &mut Cursor<'_>) -> io::Result<Vec<u8>> {
    if cursor.number::<4>()? != 8 {
        return Err(corrupt("a reference of a wrong length"));
    }
    value(&mut at(metadata, pairs_at, cursor.number::<8>()?)?)
}
