//! Is this a place where we can mount?

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::place::{Place, PlaceError, is_not_connected, resolve};
use super::unmount::take_away;
use crate::mountinfo::{self, FILE_SYSTEM};
use crate::sys::question::statfs_within;

/// How long a daemon may take to show that it lives.
const PATIENCE: Duration = Duration::from_secs(2);

/// What stood in the way at a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Free,
    /// A mount of ours whose daemon ended without unmounting.
    DeadMount,
}

/// The mount point without symlinks, fit to mount on: a dead mount of ours is taken away. (A dead one of
/// another file system is not ours to take.)
pub(super) fn claim(given: &Path) -> Result<(PathBuf, Found), PlaceError> {
    let path = resolve(given)?;
    let ours =
        || mountinfo::on_top(&mountinfo::current(), &path).filter(|mount| mount.file_system == FILE_SYSTEM);
    let mut found = Found::Free;
    while let Some(mount) = ours() {
        if !is_dead(&path) {
            return Err(PlaceError::Taken(path));
        }
        let place = Place { id: Some(mount.id), path: path.clone() };
        take_away(&place).map_err(|source| PlaceError::Unreadable { path: path.clone(), source })?;
        found = Found::DeadMount;
    }
    check(path).map(|path| (path, found))
}

/// That no swapfs was mounted on `path` since it was claimed.
///
/// # Errors
/// [`PlaceError::Taken`].
pub(super) fn check_free(path: &Path) -> Result<(), PlaceError> {
    match mountinfo::on_top(&mountinfo::current(), path) {
        Some(mount) if mount.file_system == FILE_SYSTEM => Err(PlaceError::Taken(path.to_owned())),
        _ => Ok(()),
    }
}

/// The turn to look whether a place is free and mount there: one swapfs at a time, or two that are started
/// together would both find it free. It is a lock on `/dev/fuse`, which all of them can open; dropping it
/// passes the turn on.
#[derive(Debug)]
pub(super) struct Turn {
    _device: Option<OwnedFd>,
}

impl Turn {
    /// Waits for it, but not for ever: anybody can hold such a lock. Without a turn the place may be taken
    /// twice, but nobody is kept from mounting.
    pub(super) fn wait() -> Turn {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let Ok(device) = rustix::fs::open("/dev/fuse", flags, Mode::empty()) else {
            return Turn { _device: None };
        };
        let began = Instant::now();
        while let Err(error) = rustix::fs::flock(&device, FlockOperation::NonBlockingLockExclusive) {
            if began.elapsed() > PATIENCE {
                tracing::warn!("somebody holds a lock on /dev/fuse ({error}); mounting without");
                return Turn { _device: None };
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Turn { _device: Some(device) }
    }
}

fn check(path: PathBuf) -> Result<PathBuf, PlaceError> {
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Ok(path),
        Ok(_) => Err(PlaceError::NotADirectory(path)),
        Err(error) if is_not_connected(&error) => Err(PlaceError::Dead(path)),
        Err(source) => Err(PlaceError::Unreadable { path, source }),
    }
}

/// Asks for something that the kernel never has cached. A daemon that is stopped never answers, but is not
/// dead.
fn is_dead(path: &Path) -> bool {
    match statfs_within(path, PATIENCE) {
        Ok(Some(errno)) => is_not_connected(&std::io::Error::from_raw_os_error(errno)),
        Ok(None) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_do_not_do() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(claim(&directory.path().join("no/such")), Err(PlaceError::Missing(_))));
        assert!(matches!(claim(&file), Err(PlaceError::NotADirectory(_))));
        assert!(matches!(claim(&file.join("x")), Err(PlaceError::NotADirectory(_))));
        assert_eq!(claim(directory.path()).unwrap(), (directory.path().canonicalize().unwrap(), Found::Free));
    }
}
