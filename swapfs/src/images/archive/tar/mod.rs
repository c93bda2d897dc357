//! Tar archives (ustar, GNU, pax; not compressed): all headers are read when mounting, and file data where it
//! lies.
//!
//! The `tar` crate knows the layout of headers. The walk over them is ours: the crate's own reads names and
//! pax records into memory as long as they say they are, and does not tell where the pieces of a sparse
//! member lie.

mod blocks;
mod extents;
mod field;
mod left_out;
mod member;
mod pax;
mod sparse;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::filesystem::caching::ARCHIVE_TTL;
use crate::filesystem::inode::Identity;
use crate::filesystem::{FileKind, FsError};
use crate::images::archive::error::printable;
use crate::images::archive::{ArchiveError, Medium};
use crate::images::index::{Body, Index, IndexError, Meta, NodeIndex};
use crate::images::tree::{ImageBytes, Listed, OpenImage, Seen, Space, Tree, Xattrs};
use crate::store::Whence;
use extents::Extents;
use left_out::LeftOut;
use member::{Member, Members, What};

pub(super) use member::is_tar;

/// The files of a tar archive.
#[derive(Debug)]
pub struct TarTree {
    contents: Arc<Contents>,
    left_out: LeftOut,
}

#[derive(Debug)]
struct Contents {
    medium: Arc<dyn Medium>,
    index: Index<Extents>,
}

impl TarTree {
    /// Reads all headers of the archive on `medium`. A member that GNU tar would complain of and pass over
    /// is left out.
    ///
    /// # Errors
    /// [`ArchiveError`] for the first thing that is wrong.
    pub fn open(medium: Arc<dyn Medium>) -> Result<Self, ArchiveError> {
        let top = Meta { permissions: 0o755, uid: 0, gid: 0, modified: (0, 0), xattrs: Xattrs::new() };
        let mut index = Index::new(top);
        let mut members = Members::new(&*medium);
        let mut left_out = LeftOut::default();
        while let Some(member) = members.next()? {
            let (name, at) = (printable(&member.path), member.at);
            match take_in(&mut index, member) {
                Ok(()) => {}
                Err(why) if left_out::is_passed_over(why) => left_out.note(&name, at, why),
                Err(why) => return Err(ArchiveError::Member { name, at, why }),
            }
        }
        Ok(TarTree { contents: Arc::new(Contents { medium, index }), left_out })
    }

    /// What of the archive is not shown, in a line; nothing where all of it is.
    pub fn left_out(&self) -> Option<String> {
        self.left_out.line()
    }
}

fn take_in(index: &mut Index<Extents>, member: Member) -> Result<(), IndexError> {
    let Member { path, meta, what, .. } = member;
    let body = match what {
        What::HardLink(target) => return index.link(&path, &target),
        What::NoFile => return Ok(()),
        What::NotShown => Body::NotShown,
        What::Directory => Body::Directory(BTreeMap::new()),
        What::Symlink(target) => Body::Symlink(PathBuf::from(OsStr::from_bytes(&target))),
        What::File(extents) => {
            index.charge(extents.index_bytes())?;
            Body::File(extents)
        }
    };
    index.insert(&path, meta, body).map(drop)
}

impl Tree for TarTree {
    fn look(&self, path: &Path) -> Result<Seen, FsError> {
        self.contents.index.look(path)
    }

    fn open(&self, path: &Path, identity: Identity) -> Result<OpenImage, FsError> {
        let node = self.contents.index.find(path)?;
        let seen = self.contents.index.seen(node);
        self.contents.index.leaf(node)?;
        if seen.identity != identity {
            return Err(FsError::Stale);
        }
        Ok(OpenImage::new(seen, OpenMember { contents: self.contents.clone(), node }))
    }

    fn read_link(&self, path: &Path, _identity: Identity) -> Result<PathBuf, FsError> {
        self.contents.index.read_link(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Listed>, FsError> {
        self.contents.index.list(path)
    }

    fn xattrs(&self, path: &Path, identity: Identity) -> Result<Xattrs, FsError> {
        let node = self.contents.index.find(path)?;
        if self.contents.index.seen(node).identity == identity {
            Ok(self.contents.index.xattrs(node))
        } else {
            Err(FsError::Stale)
        }
    }

    fn space(&self) -> Result<Space, FsError> {
        let files = self.contents.index.names() as u64;
        Ok(Space { total_bytes: self.contents.medium.size_bytes(), free_bytes: 0, files })
    }

    fn ttl(&self, _kind: FileKind) -> Duration {
        ARCHIVE_TTL
    }
}

#[derive(Debug)]
struct OpenMember {
    contents: Arc<Contents>,
    node: NodeIndex,
}

impl OpenMember {
    fn extents(&self) -> io::Result<&Extents> {
        self.contents.index.leaf(self.node).map_err(io::Error::other)
    }
}

impl ImageBytes for OpenMember {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.extents()?.read_at(&*self.contents.medium, buffer, offset)
    }

    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        self.extents()?.seek(whence, offset)
    }

    fn look_again(&self) -> Result<Seen, FsError> {
        Ok(self.contents.index.seen(self.node))
    }
}

#[cfg(test)]
mod tests;
