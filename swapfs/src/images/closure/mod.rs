//! Programs with their interpreters and libraries as a source: a minimal root, of just the files that they
//! need to start.
//!
//! Which those are is decided once, when mounting, by the rules of the dynamic linker that a program names:
//! glibc's ([`glibc`]) or musl's ([`musl`]). Each file is held open from then on, so the set stays the one
//! that was put together: a file that is replaced later (by an upgrade, say) is still the old one here, and
//! no name of the host is walked again. Links on the way are kept, so every name by which the host finds a
//! file finds it here. What a program opens or runs by itself later on (plug-ins, locales, other programs) is
//! not in it.

mod binary;
mod cache;
mod collector;
mod error;
mod glibc;
mod held;
mod linker;
mod musl;
mod rules;
mod search;

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::ClosureError;
use held::HeldFile;

use super::directory::HostFile;
use super::index::{Index, Leaf};
use super::tree::{Listed, OpenImage, Seen, Space, Tree, Xattrs};
use super::walk::{look_at, reopen};
use super::xattr::XattrPlace;
use crate::filesystem::caching::IMAGE_TTL;
use crate::filesystem::inode::Identity;
use crate::filesystem::{FileKind, FsError};

/// Programs and what they need, by the names that the host has for them.
#[derive(Debug)]
pub(super) struct ClosureTree(Index<HeldFile>);

impl ClosureTree {
    /// Finds all that `programs` need. A bare name is looked for in `PATH`.
    ///
    /// # Errors
    /// [`ClosureError`] for the first thing that is missing.
    pub(super) fn open(programs: &[PathBuf]) -> Result<Self, ClosureError> {
        linker::collect(programs).map(ClosureTree)
    }

    /// The file at `path`, if it is the one with `identity`.
    fn held(&self, path: &Path, identity: Identity) -> Result<(&HeldFile, Seen), FsError> {
        let file = self.0.leaf(self.0.find(path)?)?;
        let seen = look_at(file.place.as_fd())?;
        if seen.identity == identity { Ok((file, seen)) } else { Err(FsError::Stale) }
    }
}

impl Tree for ClosureTree {
    /// Of files, as they are by now.
    fn look(&self, path: &Path) -> Result<Seen, FsError> {
        match self.0.leaf(self.0.find(path)?) {
            Ok(file) => look_at(file.place.as_fd()),
            Err(_) => self.0.look(path),
        }
    }

    fn open(&self, path: &Path, identity: Identity) -> Result<OpenImage, FsError> {
        let (file, seen) = self.held(path, identity)?;
        let opened = reopen(file.place.as_fd())?;
        Ok(OpenImage::new(seen, HostFile(File::from(opened))))
    }

    fn read_link(&self, path: &Path, _identity: Identity) -> Result<PathBuf, FsError> {
        self.0.read_link(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Listed>, FsError> {
        self.0.list(path)
    }

    fn xattrs(&self, path: &Path, identity: Identity) -> Result<Xattrs, FsError> {
        if self.look(path)?.kind != FileKind::Regular {
            return Ok(Xattrs::new());
        }
        XattrPlace::of(self.held(path, identity)?.0.place.as_fd()).all()
    }

    fn xattr(&self, path: &Path, identity: Identity, name: &OsStr) -> Result<Vec<u8>, FsError> {
        if self.look(path)?.kind != FileKind::Regular {
            return Err(FsError::NoAttribute);
        }
        XattrPlace::of(self.held(path, identity)?.0.place.as_fd()).one(name)
    }

    /// As large as its files.
    fn space(&self) -> Result<Space, FsError> {
        let total_bytes = self.0.leaves().map(Leaf::size_bytes).sum();
        Ok(Space { total_bytes, free_bytes: 0, files: self.0.names() as u64 })
    }

    fn ttl(&self, _kind: FileKind) -> Duration {
        IMAGE_TTL
    }
}

#[cfg(test)]
mod tests;
