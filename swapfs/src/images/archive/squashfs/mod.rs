//! Squashfs 4.0 images, read block by block when something is asked for; nothing but the superblock is read
//! when mounting.
//!
//! Ours and not a crate's: see docs/decisions/squashfs-reader.md. Decompression is left to crates. What is
//! kept in memory are two caches of fixed size; whatever an image says of itself, one request reads a bounded
//! part of it. Sources for the format: Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h
//! of Linux.
//!
//! ```text
//! superblock -> tables (ids, fragments, xattrs) -> metadata blocks of at most 8 KiB
//! path -> directory lists -> inode (known by where it is) -> data blocks and one fragment of at most 1 MiB
//! ```

mod block_map;
mod codec;
mod data;
mod directory;
mod field;
mod image;
mod inode;
mod metadata;
mod superblock;
mod xattr;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::filesystem::caching::ARCHIVE_TTL;
use crate::filesystem::inode::Identity;
use crate::filesystem::symlink::LinkTarget;
use crate::filesystem::{FileKind, FsError};
use crate::images::archive::{ArchiveError, Medium};
use crate::images::tree::{ImageBytes, Listed, OpenImage, Seen, Space, Tree, Xattrs};
use crate::store::Whence;
use block_map::BlockMap;
use image::{Image, shown_target};
use inode::{Inode, What};
use metadata::Metadata;
use superblock::Superblock;

pub(super) use superblock::is_squashfs;

/// The files of a squashfs image.
#[derive(Debug)]
pub struct SquashfsTree(Arc<Image>);

impl SquashfsTree {
    /// Reads the superblock and the top directory of the image on `medium`.
    ///
    /// # Errors
    /// [`ArchiveError`] where they make no sense, or the compression is not known here.
    pub fn open(medium: Arc<dyn Medium>) -> Result<Self, ArchiveError> {
        let superblock = Superblock::read(&*medium)?;
        let image = Image {
            metadata: Metadata::new(medium.clone(), superblock.codec),
            blocks: data::Blocks::new(medium, superblock.codec, superblock.block_bytes),
            directories: directory::Directories::default(),
            superblock,
        };
        let tree = SquashfsTree(Arc::new(image));
        let at = tree.0.superblock.inode_table;
        match tree.0.inode(tree.0.superblock.root) {
            Ok(Inode { what: What::Directory(_), .. }) => Ok(tree),
            Ok(_) => Err(ArchiveError::Damaged { at, why: "its top is not a directory" }),
            Err(error) if error.raw_os_error().is_some() => Err(error.into()),
            Err(_) => Err(ArchiveError::Damaged { at, why: "its top directory cannot be read" }),
        }
    }
}

impl Tree for SquashfsTree {
    fn look(&self, path: &Path) -> Result<Seen, FsError> {
        let inode = self.0.find(path)?;
        let seen = self.0.seen(&inode);
        match &inode.what {
            What::Symlink(target) => Ok(seen.showing(&shown_target(path, target))),
            _ => Ok(seen),
        }
    }

    fn open(&self, path: &Path, identity: Identity) -> Result<OpenImage, FsError> {
        let inode = self.0.find(path)?;
        let seen = self.0.seen(&inode);
        let What::File(file) = inode.what else { return Err(FsError::Stale) };
        if seen.identity != identity {
            return Err(FsError::Stale);
        }
        let map = BlockMap::read(&self.0.metadata, &self.0.superblock, file)?;
        Ok(OpenImage::new(seen, OpenFile { image: self.0.clone(), seen, map }))
    }

    fn read_link(&self, path: &Path, _identity: Identity) -> Result<PathBuf, FsError> {
        let What::Symlink(target) = self.0.find(path)?.what else { return Err(FsError::Invalid) };
        match shown_target(path, &target) {
            LinkTarget::Inside(shown) => Ok(shown),
            LinkTarget::Escapes => Err(FsError::NotPermitted),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<Listed>, FsError> {
        let What::Directory(list) = self.0.find(path)?.what else { return Err(FsError::NotADirectory) };
        let names = self.0.directories.read(&self.0.metadata, &self.0.superblock, &list)?;
        let listed = |(name, found): (&OsString, &directory::Found)| {
            Some(Listed { name: name.clone(), kind: found.kind? })
        };
        Ok(names.iter().filter_map(listed).collect())
    }

    fn xattrs(&self, path: &Path, identity: Identity) -> Result<Xattrs, FsError> {
        let inode = self.0.find(path)?;
        if self.0.seen(&inode).identity != identity {
            return Err(FsError::Stale);
        }
        Ok(xattr::read(&self.0.metadata, &self.0.superblock, inode.xattrs)?)
    }

    fn space(&self) -> Result<Space, FsError> {
        let Superblock { used_bytes, inodes, .. } = self.0.superblock;
        Ok(Space { total_bytes: used_bytes, free_bytes: 0, files: inodes.into() })
    }

    fn ttl(&self, _kind: FileKind) -> Duration {
        ARCHIVE_TTL
    }
}

#[derive(Debug)]
struct OpenFile {
    image: Arc<Image>,
    seen: Seen,
    map: BlockMap,
}

impl ImageBytes for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.map.read_at(&self.image, buffer, offset)
    }

    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        self.map.seek(&self.image, whence, offset)
    }

    fn look_again(&self) -> Result<Seen, FsError> {
        Ok(self.seen)
    }
}

#[cfg(test)]
mod tests;
