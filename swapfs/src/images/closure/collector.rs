//! Taking files of the host into a tree of names: each with the directories and links on the way to it.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Statx, StatxFlags};

use super::error::ClosureError;
use super::held::HeldFile;
use crate::filesystem::FileKind;
use crate::images::index::{Body, Index, Meta};
use crate::images::tree::Xattrs;
use crate::images::walk::{kind_of, link_target};

/// As many as the kernel follows.
const MOST_LINKS: u32 = 40;

/// A tree in the making.
#[derive(Debug)]
pub(super) struct Collector {
    index: Index<HeldFile>,
}

impl Collector {
    /// The host's top directory and nothing in it.
    ///
    /// # Errors
    /// Where that cannot be looked at.
    pub(super) fn new() -> Result<Self, ClosureError> {
        let (_, stat) = place(Path::new("/"))?;
        Ok(Collector { index: Index::new(meta(&stat)) })
    }

    /// Takes in the regular file that the absolute `path` leads to. Its name without links.
    ///
    /// # Errors
    /// [`ClosureError::Read`] where it is none.
    pub(super) fn take(&mut self, path: &Path) -> Result<PathBuf, ClosureError> {
        let refused =
            |error: rustix::io::Errno| ClosureError::Read { path: path.to_owned(), source: error.into() };
        let (mut at, mut links) = (PathBuf::from("/"), 0);
        let mut rest: VecDeque<OsString> = names(path);
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(name);
            let (held, stat) = place(&at)?;
            match kind_of(&stat) {
                Some(FileKind::Directory) => self.insert(&at, &stat, Body::Directory(BTreeMap::new()))?,
                Some(FileKind::Symlink) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(ClosureError::Loops(path.to_owned()));
                    }
                    let target = link_target(held.as_fd()).map_err(|error| ClosureError::Read {
                        path: at.clone(),
                        source: std::io::Error::from_raw_os_error(error.errno()),
                    })?;
                    self.insert(&at, &stat, Body::Symlink(target.clone()))?;
                    at = if target.is_absolute() {
                        PathBuf::from("/")
                    } else {
                        at.parent().unwrap_or(&at).to_owned()
                    };
                    names(&target).into_iter().rev().for_each(|name| rest.push_front(name));
                }
                Some(FileKind::Regular) if rest.is_empty() => {
                    let (size_bytes, allocated_bytes) = (stat.stx_size, stat.stx_blocks * 512);
                    self.insert(
                        &at,
                        &stat,
                        Body::File(HeldFile { place: held, size_bytes, allocated_bytes }),
                    )?;
                    return Ok(at);
                }
                Some(FileKind::Regular) => return Err(refused(rustix::io::Errno::NOTDIR)),
                None => return Err(refused(rustix::io::Errno::INVAL)),
            }
        }
        Err(refused(rustix::io::Errno::ISDIR))
    }

    /// All that was taken in.
    pub(super) fn finish(self) -> Index<HeldFile> {
        self.index
    }

    fn insert(&mut self, path: &Path, stat: &Statx, body: Body<HeldFile>) -> Result<(), ClosureError> {
        let known = self.index.find(path.strip_prefix("/").unwrap_or(path)).is_ok();
        if known {
            return Ok(());
        }
        let inserted = self.index.insert(path.as_os_str().as_bytes(), meta(stat), body);
        inserted.map(drop).map_err(|why| ClosureError::Name { path: path.to_owned(), why })
    }
}

/// The names that a path consists of, `..` included.
fn names(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).collect()
}

/// What is at `path`, held as a place: a device or pipe that lies there is not opened by that.
fn place(path: &Path) -> Result<(OwnedFd, Statx), ClosureError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::open(path, flags, Mode::empty());
    let looked = held.and_then(|held| {
        let stat = rustix::fs::statx(&held, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        Ok((held, stat))
    });
    looked.map_err(|error| ClosureError::Read { path: path.to_owned(), source: error.into() })
}

fn meta(stat: &Statx) -> Meta {
    Meta {
        permissions: stat.stx_mode & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        xattrs: Xattrs::new(),
    }
}
