//! What a source of images must be able to do, whatever it is made of.
//!
//! A [`Tree`] is read and never written. Paths are relative to its top, of plain names only; an empty path is
//! the top itself.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::filesystem::inode::{Identity, Version};
use crate::filesystem::symlink::LinkTarget;
use crate::filesystem::{Attr, FileKind, FsError, Ino};
use crate::store::Whence;

/// What `stat` saw of a file of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its kind.
    pub kind: FileKind,
    /// Who it is.
    pub identity: Identity,
    /// Its contents' state.
    pub version: Version,
    pub(super) attr: Attr,
}

impl Seen {
    /// A symlink of which this is shown: as large as the text is long, which archivers go by.
    pub(super) fn showing(mut self, target: &LinkTarget) -> Self {
        if let LinkTarget::Inside(shown) = target {
            self.attr.size_bytes = shown.as_os_str().len() as u64;
        }
        self
    }

    /// Its attributes under the number `ino`.
    pub fn attr(&self, ino: Ino) -> Attr {
        Attr { ino, ..self.attr }
    }
}

/// One name of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: OsString,
    /// Its kind.
    pub kind: FileKind,
}

/// What `statfs` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size in bytes.
    pub total_bytes: u64,
    /// Of those, room that is left.
    pub free_bytes: u64,
    /// How many files there are; zero where that is not known.
    pub files: u64,
}

/// Extended attributes by name.
pub type Xattrs = BTreeMap<OsString, Vec<u8>>;

/// The files of one source. Called from several threads at once.
pub trait Tree: Send + Sync + std::fmt::Debug {
    /// What is at `path`.
    ///
    /// # Errors
    /// [`FsError::NotFound`] if nothing that we show.
    fn look(&self, path: &Path) -> Result<Seen, FsError>;

    /// Opens the regular file at `path` if it is still the one with `identity`.
    ///
    /// # Errors
    /// [`FsError::Stale`] if it is not.
    fn open(&self, path: &Path, identity: Identity) -> Result<OpenImage, FsError>;

    /// Where the symlink at `path` points, in a form that stays inside, if it is still the one with
    /// `identity`.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`] if it leaves the source, [`FsError::Stale`] as before.
    fn read_link(&self, path: &Path, identity: Identity) -> Result<PathBuf, FsError>;

    /// The names in the directory at `path`, without `.` and `..`.
    ///
    /// # Errors
    /// As reading a directory.
    fn list(&self, path: &Path) -> Result<Vec<Listed>, FsError>;

    /// The extended attributes of what is at `path`, if it is still the one with `identity`. Access control
    /// lists (`system.*`) are left out, as the mount does not go by them.
    ///
    /// # Errors
    /// [`FsError::Stale`] if it is not.
    fn xattrs(&self, path: &Path, identity: Identity) -> Result<Xattrs, FsError>;

    /// One extended attribute.
    ///
    /// # Errors
    /// [`FsError::NoAttribute`] if there is none of this name, [`FsError::Stale`] as before.
    fn xattr(&self, path: &Path, identity: Identity, name: &OsStr) -> Result<Vec<u8>, FsError> {
        self.xattrs(path, identity)?.remove(name).ok_or(FsError::NoAttribute)
    }

    /// How large the whole source, or the file system that it is on, is.
    ///
    /// # Errors
    /// What the source says.
    fn space(&self) -> Result<Space, FsError>;

    /// How long names and attributes of files of this kind may be believed.
    fn ttl(&self, kind: FileKind) -> Duration;
}

/// A regular file of a source, open for reading.
#[derive(Debug)]
pub struct OpenImage {
    /// What it was when it was opened.
    pub seen: Seen,
    bytes: Box<dyn ImageBytes>,
}

/// The bytes of an open file. They are those of the file that was opened, or an error; never another file's.
pub trait ImageBytes: Send + Sync + std::fmt::Debug {
    /// Fills `buffer` from `offset`, or as much of it as the file has left.
    ///
    /// # Errors
    /// What the source says; nothing of `buffer` counts then.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The next data or hole at or after `offset`.
    ///
    /// # Errors
    /// `ENXIO` past the end, or where there is no more data.
    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64>;

    /// What it is by now; answers even where its name is gone.
    ///
    /// # Errors
    /// What the source says.
    fn look_again(&self) -> Result<Seen, FsError>;
}

impl OpenImage {
    pub(super) fn new(seen: Seen, bytes: impl ImageBytes + 'static) -> Self {
        OpenImage { seen, bytes: Box::new(bytes) }
    }

    /// See [`ImageBytes::read_at`].
    ///
    /// # Errors
    /// What the source says.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.bytes.read_at(buffer, offset)
    }

    /// See [`ImageBytes::seek`].
    ///
    /// # Errors
    /// As `lseek(2)`.
    pub fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        self.bytes.seek(whence, offset)
    }

    /// See [`ImageBytes::look_again`].
    ///
    /// # Errors
    /// What the source says.
    pub fn look_again(&self) -> Result<Seen, FsError> {
        self.bytes.look_again()
    }
}
