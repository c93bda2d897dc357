//! The members of a tar archive, one after the other, with what extended headers say of each already applied.

use std::borrow::Cow;

use tar::{EntryType, Header};

use super::blocks::{BLOCK_BYTES, Blocks, NOT_A_NUMBER};
use super::extents::Extents;
use super::pax::{NOBODY, Pax};
use super::{field, sparse};
use crate::images::archive::{ArchiveError, Medium};
use crate::images::index::Meta;

/// More than names of 4 KiB and the attributes that ext4 or XFS keep for one file.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    /// Where its header is.
    pub(super) at: u64,
    /// Its name as stored.
    pub(super) path: Vec<u8>,
    pub(super) meta: Meta,
    pub(super) what: What,
}

/// What a member is.
#[derive(Debug)]
pub(super) enum What {
    File(Extents),
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    /// A device, a pipe.
    NotShown,
    /// A label: no file at all.
    NoFile,
}

/// Goes through an archive.
#[derive(Debug)]
pub(super) struct Members<'m> {
    blocks: Blocks<'m>,
    at: u64,
    global: Pax,
}

/// What stood before a member's own header.
#[derive(Debug, Default)]
struct Extension {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl Extension {
    fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.long_link.is_none() && self.pax.is_none()
    }
}

/// Whether `start`, the first bytes of a file, is a header of a tar archive.
pub(crate) fn is_tar(start: &[u8; BLOCK_BYTES as usize]) -> bool {
    start[0] != 0 && has_checksum(start)
}

fn has_checksum(block: &[u8; BLOCK_BYTES as usize]) -> bool {
    let Some(stated) = field::signed(&block[148..156]) else { return false };
    let bytes =
        || block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = bytes().map(i64::from).sum();
    // Some old systems added up signed bytes.
    let signed: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
    stated == unsigned || stated == signed
}

impl<'m> Members<'m> {
    pub(super) fn new(medium: &'m dyn Medium) -> Self {
        Members { blocks: Blocks::new(medium), at: 0, global: Pax::default() }
    }

    /// The next member; none after the mark of the end, or, as for GNU tar, where the archive ends after a
    /// whole member.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub(super) fn next(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extension = Extension::default();
        loop {
            let at = self.at;
            let damaged = |why| ArchiveError::Damaged { at, why };
            if at >= self.blocks.medium.size_bytes() && extension.is_empty() {
                return Ok(None);
            }
            let block = *self.blocks.block(at)?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if !has_checksum(&block) {
                return Err(damaged("a header with a wrong checksum"));
            }
            let header = Header::from_byte_slice(&block);
            match header.entry_type() {
                EntryType::GNULongName => extension.long_name = Some(until_zero(self.extension(header)?)),
                EntryType::GNULongLink => extension.long_link = Some(until_zero(self.extension(header)?)),
                EntryType::XGlobalHeader => {
                    let records = self.extension(header)?;
                    self.global.read(&records).map_err(damaged)?;
                }
                // `X` is what Solaris wrote before there was a standard.
                kind if kind == EntryType::XHeader || kind.as_byte() == b'X' => {
                    let records = self.extension(header)?;
                    let pax = extension.pax.get_or_insert_with(|| self.global.clone());
                    pax.read(&records).map_err(damaged)?;
                }
                _ => return self.member(header, extension).map(Some),
            }
        }
    }

    /// The data of the extended header at hand, which is passed over.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, ArchiveError> {
        let (at, data) = (self.at, self.at + BLOCK_BYTES);
        let size = stored_bytes(header, at)?;
        if size > LONGEST_EXTENSION {
            return Err(ArchiveError::Damaged { at, why: "an extended header of more than 1 MiB" });
        }
        self.pass(data, size)?;
        let mut text = vec![0; size as usize];
        self.blocks.medium.read_exact_at(&mut text, data)?;
        Ok(text)
    }

    /// Goes on after `size` bytes of data at `data`, which must be there.
    fn pass(&mut self, data: u64, size: u64) -> Result<(), ArchiveError> {
        let end = data.checked_add(size).filter(|end| *end <= self.blocks.medium.size_bytes());
        let end = end.ok_or(ArchiveError::Truncated { at: data, needed: size })?;
        self.at = end.next_multiple_of(BLOCK_BYTES);
        Ok(())
    }

    fn member(&mut self, header: &Header, extension: Extension) -> Result<Member, ArchiveError> {
        let Extension { long_name, long_link, pax } = extension;
        let mut pax = pax.unwrap_or_else(|| self.global.clone());
        let (at, data) = (self.at, self.at + BLOCK_BYTES);
        let named = pax.sparse.name.take().or(pax.path.take()).or(long_name);
        let path = named.unwrap_or_else(|| short_path(header));
        let link = || header.link_name_bytes().map(Cow::into_owned).unwrap_or_default();
        let link = pax.link_path.take().or(long_link).unwrap_or_else(link);
        let size = || pax.size_bytes.map_or_else(|| stored_bytes(header, at), Ok);
        let (what, data, size) = match header.entry_type() {
            EntryType::Symlink => (What::Symlink(link), data, 0),
            EntryType::Link => (What::HardLink(link), data, 0),
            EntryType::Char | EntryType::Block | EntryType::Fifo => (What::NotShown, data, 0),
            EntryType::Directory => (What::Directory, data, 0),
            EntryType::GNUSparse => {
                let (extents, data) = sparse::old_gnu(&mut self.blocks, header, at, size()?)?;
                (What::File(extents), data, size()?)
            }
            kind => (self.with_data(kind, &path, &pax, size()?)?, data, size()?),
        };
        self.pass(data, size)?;
        Ok(Member { at, path, meta: meta(header, pax, at)?, what })
    }

    /// A member whose `size` bytes of data follow; types that are not known are files, as POSIX asks.
    fn with_data(
        &mut self,
        kind: EntryType,
        path: &[u8],
        pax: &Pax,
        size: u64,
    ) -> Result<What, ArchiveError> {
        let (at, data) = (self.at, self.at + BLOCK_BYTES);
        match kind.as_byte() {
            b'D' => return Ok(What::Directory),
            b'V' => return Ok(What::NoFile),
            b'M' | b'N' => {
                return Err(ArchiveError::Damaged { at, why: "a piece of an archive of several volumes" });
            }
            // Before there was a type for directories, a slash told them.
            0 | b'0' | b'7' if path.ends_with(b"/") => return Ok(What::Directory),
            _ => {}
        }
        Ok(What::File(match pax.sparse.real_bytes {
            None => Extents::plain(size, data),
            Some(_) => sparse::pax(&mut self.blocks, &pax.sparse, data, size)?,
        }))
    }
}

/// The name in the header itself. A prefix counts by the magic alone, as for GNU tar: some writers leave the
/// version out.
fn short_path(header: &Header) -> Vec<u8> {
    const MAGIC: &[u8] = b"ustar\0";
    let block = header.as_bytes();
    let name = until_zero(block[..100].to_vec());
    let prefix = until_zero(block[345..500].to_vec());
    if block[257..263] != *MAGIC || prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
}

fn stored_bytes(header: &Header, at: u64) -> Result<u64, ArchiveError> {
    field::unsigned(&header.as_old().size).ok_or(ArchiveError::Damaged { at, why: NOT_A_NUMBER })
}

fn meta(header: &Header, pax: Pax, at: u64) -> Result<Meta, ArchiveError> {
    let old = header.as_old();
    let number = |field: &[u8]| field::signed(field).ok_or(ArchiveError::Damaged { at, why: NOT_A_NUMBER });
    let id = |of_pax: Option<u32>, field: &[u8]| match of_pax {
        Some(id) => Ok(id),
        None => number(field).map(|id| u32::try_from(id).unwrap_or(NOBODY)),
    };
    Ok(Meta {
        permissions: (number(&old.mode)? & 0o7777) as u16,
        uid: id(pax.uid, &old.uid)?,
        gid: id(pax.gid, &old.gid)?,
        modified: pax.modified.map_or_else(|| number(&old.mtime).map(|seconds| (seconds, 0)), Ok)?,
        xattrs: pax.xattrs,
    })
}

fn until_zero(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}
