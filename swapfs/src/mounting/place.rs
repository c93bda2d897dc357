//! Places of mounts, and what can be wrong with one.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::mountinfo;

/// Which mount is ours, to take away that one and no other.
#[derive(Debug, Clone)]
pub struct Place {
    /// The mount point, without symlinks.
    pub path: PathBuf,
    /// The kernel's number for the mount, where it could be read.
    pub id: Option<u64>,
}

/// Why there can be no mount here, or none can be taken away.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is nothing.
    #[error("mount point {0} does not exist; make it with `mkdir -p {0}`")]
    Missing(PathBuf),
    /// It is a file.
    #[error("mount point {0} is not a directory; give an empty directory")]
    NotADirectory(PathBuf),
    /// A FUSE mount is there whose daemon is gone.
    #[error("a dead FUSE mount is on {0}, its daemon is gone; clear it with `swapfs unmount {0}`")]
    Dead(PathBuf),
    /// A mount of ours is there.
    #[error("swapfs is already mounted on {0}; take it away with `swapfs unmount {0}`, or mount elsewhere")]
    Taken(PathBuf),
    /// Nothing is mounted there.
    #[error("nothing is mounted on {0}")]
    NothingThere(PathBuf),
    /// Something is mounted there that is none of our business.
    #[error("{path} is a {file_system} mount, not swapfs; use `umount` for it")]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What.
        file_system: String,
    },
    /// It cannot be looked at.
    #[error("mount point {path} cannot be used")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The absolute path of `given` without symlinks, without asking a file system that may be mounted on it and
/// not answer.
///
/// # Errors
/// [`PlaceError::Missing`] if it or its parent is not there.
pub fn resolve(given: &Path) -> Result<PathBuf, PlaceError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => PlaceError::Missing(given.to_owned()),
        io::ErrorKind::NotADirectory => PlaceError::NotADirectory(given.to_owned()),
        _ => PlaceError::Unreadable { path: given.to_owned(), source },
    };
    let absolute = std::path::absolute(given).map_err(unreadable)?;
    let mounted = || mountinfo::on_top(&mountinfo::current(), &absolute).is_some();
    match absolute.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if is_not_connected(&error) || mounted() => {
            let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
                return Ok(absolute);
            };
            Ok(parent.canonicalize().map_err(unreadable)?.join(name))
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// What a dead mount answers; a daemon that is just being killed takes the question along (ECONNABORTED).
pub(super) fn is_not_connected(error: &io::Error) -> bool {
    let ends = [Errno::NOTCONN, Errno::CONNABORTED].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|errno| ends.contains(&errno))
}
