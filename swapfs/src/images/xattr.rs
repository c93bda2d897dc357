//! Extended attributes of the host's files.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::tree::Xattrs;
use super::walk::{look_at, open_below};
use crate::filesystem::FsError;
use crate::filesystem::inode::Identity;

/// The kernel's limit for values and for lists of names.
const LONGEST: usize = 64 << 10;

/// A file whose attributes are asked for.
pub(super) struct XattrPlace<Held> {
    /// A descriptor that is no more than a place has no calls for attributes of its own; this link leads to
    /// just that place.
    link: String,
    _held: Held,
}

impl XattrPlace<OwnedFd> {
    /// The file at `path` below `directory`.
    ///
    /// # Errors
    /// [`FsError::Stale`] if it is not the one with `identity`.
    pub(super) fn open(directory: BorrowedFd<'_>, path: &Path, identity: Identity) -> Result<Self, FsError> {
        let file = open_below(directory, path, OFlags::PATH).map_err(FsError::from_walk)?;
        if look_at(file.as_fd())?.identity != identity {
            return Err(FsError::Stale);
        }
        Ok(XattrPlace::of(file))
    }
}

impl<Held: AsRawFd> XattrPlace<Held> {
    /// The file that is held.
    pub(super) fn of(held: Held) -> Self {
        XattrPlace { link: format!("/proc/self/fd/{}", held.as_raw_fd()), _held: held }
    }

    /// One attribute.
    ///
    /// # Errors
    /// [`FsError::NoAttribute`] if there is none of this name.
    pub(super) fn one(&self, name: &OsStr) -> Result<Vec<u8>, FsError> {
        match read_growing(|buffer| rustix::fs::getxattr(&self.link, name, buffer)) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Err(FsError::NoAttribute),
            value => Ok(value?),
        }
    }

    /// All attributes that can be read.
    ///
    /// # Errors
    /// What the file's own file system says.
    pub(super) fn all(&self) -> Result<Xattrs, FsError> {
        let names = match read_growing(|buffer| rustix::fs::listxattr(&self.link, buffer)) {
            Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
            names => names?,
        };
        let mut xattrs = Xattrs::new();
        for name in
            names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && !name.starts_with(b"system."))
        {
            match self.one(OsStr::from_bytes(name)) {
                Ok(value) => drop(xattrs.insert(OsStr::from_bytes(name).to_owned(), value)),
                // Gone meanwhile.
                Err(FsError::NoAttribute) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(xattrs)
    }
}

/// Reads with a buffer that is made larger until it does.
fn read_growing(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 512];
    loop {
        match read(&mut buffer) {
            Ok(bytes) => {
                buffer.truncate(bytes);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < LONGEST => buffer.resize(LONGEST, 0),
            Err(error) => return Err(error),
        }
    }
}
