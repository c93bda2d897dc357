//! An image as its open files share it: inodes by place and by path.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::data;
use super::directory;
use super::field::InodeRef;
use super::field::corrupt;
use super::inode::{self, Inode, What};
use super::metadata::Metadata;
use super::superblock::Superblock;
use crate::filesystem::attr::system_time;
use crate::filesystem::inode::{Identity, Version};
use crate::filesystem::symlink::{LinkTarget, confine};
use crate::filesystem::{Attr, FileKind, FsError, Ino};
use crate::images::tree::Seen;

/// What all open files of an image share.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) superblock: Superblock,
    pub(super) metadata: Metadata,
    pub(super) directories: directory::Directories,
    pub(super) blocks: data::Blocks,
}

pub(super) fn shown_target(link: &Path, target: &[u8]) -> LinkTarget {
    confine(Path::new("/"), link, Path::new(OsStr::from_bytes(target)))
}

impl Image {
    pub(super) fn inode(&self, at: InodeRef) -> io::Result<Inode> {
        inode::read(&self.metadata, &self.superblock, at)
    }

    /// Walks to `path` without following symlinks.
    pub(super) fn find(&self, path: &Path) -> Result<Inode, FsError> {
        let mut at = self.inode(self.superblock.root)?;
        for component in path.components() {
            let Component::Normal(name) = component else { return Err(FsError::NotFound) };
            let What::Directory(list) = &at.what else { return Err(FsError::NotADirectory) };
            let names = self.directories.read(&self.metadata, &self.superblock, list)?;
            let next = self.inode(names.get(name).ok_or(FsError::NotFound)?.at)?;
            // Else directories could hold themselves.
            if let What::Directory(list) = &next.what
                && list.parent != at.number
            {
                return Err(corrupt("a directory that is not its parent's child").into());
            }
            at = next;
        }
        if at.what == What::NotShown { Err(FsError::NotFound) } else { Ok(at) }
    }

    pub(super) fn seen(&self, inode: &Inode) -> Seen {
        let (kind, size_bytes, stored_bytes) = match &inode.what {
            What::Directory(list) => (FileKind::Directory, list.bytes.into(), 0),
            What::Symlink(target) => (FileKind::Symlink, target.len() as u64, 0),
            What::File(file) => {
                (FileKind::Regular, file.size_bytes, file.size_bytes.saturating_sub(file.hole_bytes))
            }
            What::NotShown => (FileKind::Regular, 0, 0),
        };
        let when = system_time(inode.modified.into(), 0);
        let attr = Attr {
            ino: Ino(0),
            kind,
            size_bytes,
            blocks_512: stored_bytes.div_ceil(512),
            permissions: inode.permissions,
            links: inode.links,
            uid: inode.uid,
            gid: inode.gid,
            accessed: when,
            modified: when,
            changed: when,
        };
        let identity = Identity { device: (0, 0), number: inode.at.0, born: (0, 0) };
        let version = Version { modified: (inode.modified.into(), 0), changed: (0, 0), size_bytes };
        Seen { kind, identity, version, attr }
    }
}
