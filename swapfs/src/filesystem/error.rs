//! What can go wrong with a request, and the errno that says so: the only place where meaning becomes a
//! number.

use std::io;

use rustix::io::Errno;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// No such name, or an inode that is not known.
    #[error("no such file or directory")]
    NotFound,
    /// The file behind this inode was removed or replaced: its bytes are no longer those that were looked up.
    #[error("the source file was removed or replaced")]
    Stale,
    /// A change to something under `images/` or `.swapfs/`, or a new name anywhere.
    #[error("read-only")]
    ReadOnly,
    /// A change that swap files do not take (their size, owner or mode), or a symlink that leaves its source.
    #[error("operation not permitted")]
    NotPermitted,
    /// The name is taken.
    #[error("file exists")]
    Exists,
    /// A write at or past the end of a swap file.
    #[error("past the end of the swap file")]
    PastEnd,
    /// A directory was needed.
    #[error("not a directory")]
    NotADirectory,
    /// Something other than a directory was needed.
    #[error("is a directory")]
    IsADirectory,
    /// A fault that was asked for: no space.
    #[error("no space, on purpose")]
    NoSpaceOnPurpose,
    /// A fault that was asked for: an I/O error.
    #[error("I/O error, on purpose")]
    IoOnPurpose,
    /// One more trace than there may be at once.
    #[error("too many traces are being recorded")]
    TooManyTraces,
    /// The arguments make no sense.
    #[error("invalid argument")]
    Invalid,
    /// A handle that is not open, or open for the other direction.
    #[error("bad file handle")]
    BadHandle,
    /// There is no extended attribute of this name.
    #[error("no such attribute")]
    NoAttribute,
    /// A kind of `fallocate` that is not served, or an attribute of what has none.
    #[error("operation not supported")]
    Unsupported,
    /// The source or the store failed.
    #[error("I/O error")]
    Io(#[source] io::Error),
}

impl FsError {
    /// The errno that a client sees.
    pub fn errno(&self) -> i32 {
        match self {
            FsError::NotFound => Errno::NOENT,
            FsError::Stale => Errno::STALE,
            FsError::ReadOnly => Errno::ROFS,
            FsError::NotPermitted => Errno::PERM,
            FsError::Exists => Errno::EXIST,
            FsError::PastEnd | FsError::NoSpaceOnPurpose => Errno::NOSPC,
            FsError::IoOnPurpose => Errno::IO,
            FsError::NotADirectory => Errno::NOTDIR,
            FsError::IsADirectory => Errno::ISDIR,
            FsError::TooManyTraces => Errno::BUSY,
            FsError::Invalid => Errno::INVAL,
            FsError::BadHandle => Errno::BADF,
            FsError::NoAttribute => Errno::NODATA,
            FsError::Unsupported => Errno::OPNOTSUPP,
            FsError::Io(error) => return error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
        }
        .raw_os_error()
    }

    /// Reads the error of a walk below a source. A mount point inside a source (`EXDEV`) and a component that
    /// has become a symlink (`ELOOP`) are, to the client, simply not there.
    pub fn from_walk(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::XDEV | Errno::LOOP => FsError::NotFound,
            Errno::NOTDIR => FsError::NotADirectory,
            Errno::STALE => FsError::Stale,
            other => FsError::Io(other.into()),
        }
    }
}

impl From<Errno> for FsError {
    fn from(error: Errno) -> Self {
        FsError::Io(error.into())
    }
}

impl From<io::Error> for FsError {
    fn from(error: io::Error) -> Self {
        FsError::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_a_number_is_eio() {
        assert_eq!(FsError::Io(io::Error::other("odd")).errno(), 5);
        assert_eq!(FsError::from(Errno::NOSPC).errno(), 28);
    }

    #[test]
    fn mount_points_and_links_on_the_way_are_not_there() {
        assert_eq!(FsError::from_walk(Errno::XDEV).errno(), 2);
        assert_eq!(FsError::from_walk(Errno::LOOP).errno(), 2);
        assert_eq!(FsError::from_walk(Errno::ACCESS).errno(), 13);
    }
}
