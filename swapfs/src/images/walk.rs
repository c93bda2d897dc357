//! Walking below a directory without ever leaving it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

use super::tree::Seen;
use crate::filesystem::attr::system_time;
use crate::filesystem::inode::{Identity, Version};
use crate::filesystem::{Attr, FileKind, FsError, Ino};

const STAY_BELOW: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);
/// `openat2` says EAGAIN when something was renamed during the walk.
const ATTEMPTS: u32 = 32;
/// What one system call takes of a path, less the zero byte at its end.
const LONGEST_PATH: usize = 4095;

/// Opens `path` below `directory`; an empty path is the directory itself.
///
/// # Errors
/// As `openat2(2)`; `EXDEV` for another mount, `ELOOP` for a symlink on the way.
pub fn open_below(directory: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let (mut held, mut path): (Option<OwnedFd>, &Path) = (None, path);
    while let Some((first, rest)) = split_long(path) {
        let from = held.as_ref().map_or(directory, AsFd::as_fd);
        let next = open_in_one(from, first, OFlags::PATH | OFlags::DIRECTORY)?;
        (held, path) = (Some(next), rest);
    }
    open_in_one(held.as_ref().map_or(directory, AsFd::as_fd), path, flags)
}

/// The part of `path` that one call takes (PATH_MAX), and the rest; none where one call takes it all.
/// Programs reach what lies deeper step by step, so the kernel asks for it.
fn split_long(path: &Path) -> Option<(&Path, &Path)> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() < LONGEST_PATH {
        return None;
    }
    let slash = bytes[..LONGEST_PATH].iter().rposition(|byte| *byte == b'/')?;
    Some((Path::new(OsStr::from_bytes(&bytes[..slash])), Path::new(OsStr::from_bytes(&bytes[slash + 1..]))))
}

fn open_in_one(directory: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    for _ in 1..ATTEMPTS {
        match rustix::fs::openat2(directory, path, flags, Mode::empty(), STAY_BELOW) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    rustix::fs::openat2(directory, path, flags, Mode::empty(), STAY_BELOW)
}

/// What `path` below `directory` is.
///
/// # Errors
/// [`FsError::NotFound`] also for what we do not show: devices, sockets, pipes, other mounts.
pub fn look(directory: BorrowedFd<'_>, path: &Path) -> Result<Seen, FsError> {
    look_and_hold(directory, path).map(|(_, seen)| seen)
}

/// The same, and holds it as a place.
///
/// # Errors
/// As [`look`].
pub fn look_and_hold(directory: BorrowedFd<'_>, path: &Path) -> Result<(OwnedFd, Seen), FsError> {
    let place = open_below(directory, path, OFlags::PATH).map_err(FsError::from_walk)?;
    let seen = look_at(place.as_fd())?;
    Ok((place, seen))
}

/// What an open file is.
///
/// # Errors
/// [`FsError::NotFound`] if it is of a kind that we do not show.
pub fn look_at(file: BorrowedFd<'_>) -> Result<Seen, FsError> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, mask)?;
    seen(&stat).ok_or(FsError::NotFound)
}

/// Opens the regular file `path` below `directory`, provided that it is still the one with `identity`.
///
/// # Errors
/// [`FsError::Stale`] if another file stands there now, or none.
pub fn open_image(
    directory: BorrowedFd<'_>,
    path: &Path,
    identity: Identity,
) -> Result<(File, Seen), FsError> {
    // Held as a place first: a device or pipe that was put here must not be opened, which would act on it.
    let (place, seen) = hold(directory, path)?;
    if seen.identity != identity || seen.kind != FileKind::Regular {
        return Err(FsError::Stale);
    }
    Ok((reopen(place.as_fd())?.into(), seen))
}

/// Holds what is at a path that was known as a place.
///
/// # Errors
/// [`FsError::Stale`] if nothing that we show is there any more.
fn hold(directory: BorrowedFd<'_>, path: &Path) -> Result<(OwnedFd, Seen), FsError> {
    match look_and_hold(directory, path) {
        Err(FsError::NotFound | FsError::NotADirectory) => Err(FsError::Stale),
        held => held,
    }
}

/// Opens for reading the regular file that is held as a place. The link in `/proc` leads to just that file,
/// whatever its names do.
///
/// # Errors
/// As `open(2)`.
pub fn reopen(place: BorrowedFd<'_>) -> Result<OwnedFd, FsError> {
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    Ok(rustix::fs::open(link, OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The text of the symlink `path` below `directory`, provided that it is still the one with `identity`.
///
/// # Errors
/// [`FsError::Stale`] if something else stands there by now, or nothing.
pub fn read_link(directory: BorrowedFd<'_>, path: &Path, identity: Identity) -> Result<PathBuf, FsError> {
    let (place, seen) = hold(directory, path)?;
    match seen.identity == identity {
        true => link_target(place.as_fd()),
        false => Err(FsError::Stale),
    }
}

/// The text of the symlink that is held as a place.
///
/// # Errors
/// [`FsError::Invalid`] if it is no symlink.
pub fn link_target(link: BorrowedFd<'_>) -> Result<PathBuf, FsError> {
    match rustix::fs::readlinkat(link, c"", Vec::new()) {
        Ok(target) => Ok(OsString::from_vec(target.into_bytes()).into()),
        Err(Errno::NOENT | Errno::INVAL) => Err(FsError::Invalid),
        Err(error) => Err(error.into()),
    }
}

/// The kind of a file, if it is one that we show.
pub fn kind_of(stat: &Statx) -> Option<FileKind> {
    match rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()) {
        rustix::fs::FileType::RegularFile => Some(FileKind::Regular),
        rustix::fs::FileType::Directory => Some(FileKind::Directory),
        rustix::fs::FileType::Symlink => Some(FileKind::Symlink),
        _ => None,
    }
}

fn seen(stat: &Statx) -> Option<Seen> {
    let kind = kind_of(stat)?;
    let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    let born = if has_birth { pair(stat.stx_btime) } else { (0, 0) };
    let device = (stat.stx_dev_major, stat.stx_dev_minor);
    let identity = Identity { device, number: stat.stx_ino, born };
    let version =
        Version { modified: pair(stat.stx_mtime), changed: pair(stat.stx_ctime), size_bytes: stat.stx_size };
    Some(Seen { kind, identity, version, attr: attributes(stat, kind) })
}

fn attributes(stat: &Statx, kind: FileKind) -> Attr {
    let time = |t: StatxTimestamp| system_time(t.tv_sec, t.tv_nsec);
    Attr {
        ino: Ino(0),
        kind,
        size_bytes: stat.stx_size,
        blocks_512: stat.stx_blocks,
        permissions: stat.stx_mode & 0o7777,
        links: stat.stx_nlink,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        accessed: time(stat.stx_atime),
        modified: time(stat.stx_mtime),
        changed: time(stat.stx_ctime),
    }
}

fn pair(time: StatxTimestamp) -> (i64, u32) {
    (time.tv_sec, time.tv_nsec)
}
