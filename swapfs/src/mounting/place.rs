//! Is this a place where we can mount?

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::FILE_SYSTEM;
use crate::mountinfo;

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

/// The mount point without symlinks, fit to mount on.
pub(super) fn check(given: &Path) -> Result<PathBuf, PlaceError> {
    let path = resolve(given)?;
    if mountinfo::on_top(&mountinfo::current(), &path).is_some_and(|mount| mount.file_system == FILE_SYSTEM) {
        return Err(if is_dead(&path) { PlaceError::Dead(path) } else { PlaceError::Taken(path) });
    }
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Ok(path),
        Ok(_) => Err(PlaceError::NotADirectory(path)),
        Err(error) if is_not_connected(&error) => Err(PlaceError::Dead(path)),
        Err(source) => Err(PlaceError::Unreadable { path, source }),
    }
}

/// The absolute path of `given` without symlinks, without asking a file system that may be mounted on it and not answer.
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
            let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else { return Ok(absolute) };
            Ok(parent.canonicalize().map_err(unreadable)?.join(name))
        }
        Err(error) => Err(unreadable(error)),
    }
}

pub(super) fn is_not_connected(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error())
}

/// Asks for something that the kernel never has cached.
fn is_dead(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_err_and(|error| error == Errno::NOTCONN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_do_not_do() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(check(&directory.path().join("no/such")), Err(PlaceError::Missing(_))));
        assert!(matches!(check(&file), Err(PlaceError::NotADirectory(_))));
        assert!(matches!(check(&file.join("x")), Err(PlaceError::NotADirectory(_))));
        assert_eq!(check(directory.path()).unwrap(), directory.path().canonicalize().unwrap());
    }
}
