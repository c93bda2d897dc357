//! A directory of the host as a source: held open, so that renaming the way to it changes nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::listing::list;
use super::tree::{ImageBytes, Listed, OpenImage, Seen, Space, Tree, Xattrs};
use super::walk::{link_target, look_and_hold, look_at, open_image, read_link};
use super::xattr::XattrPlace;
use crate::filesystem::caching::{IMAGE_TTL, LINK_TTL};
use crate::filesystem::inode::Identity;
use crate::filesystem::symlink::{LinkTarget, confine};
use crate::filesystem::{FileKind, FsError};
use crate::mountinfo;
use crate::store::{Whence, seek_sparse};

/// What is below one directory.
#[derive(Debug)]
pub(super) struct DirectoryTree {
    directory: OwnedFd,
    /// Where the directory was when it was opened; to read absolute links and mount points by.
    root: PathBuf,
}

impl DirectoryTree {
    /// Opens `root`, a path without symlinks.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        Ok(DirectoryTree { directory: open_directory(root)?, root: root.to_owned() })
    }

    /// An absolute target may reach the inside by another way (`/lib` for `/usr/lib`): ask where it really
    /// is. Only on the root's own mount, as a walk into other mounts may end in this one and wait for itself.
    fn shown_target(&self, path: &Path, target: &Path) -> LinkTarget {
        // The top of all directories is its own parent, so no link climbs over it.
        let from_top = path.parent().map(|directory| Path::new("/").join(directory).join(target));
        let target = from_top.as_deref().filter(|_| self.root == Path::new("/")).unwrap_or(target);
        match confine(&self.root, path, target) {
            LinkTarget::Escapes if target.is_absolute() => match real_path_on_root(target) {
                Ok(real) => confine(&self.root, path, &real),
                Err(_) => LinkTarget::Escapes,
            },
            decided => decided,
        }
    }
}

impl Tree for DirectoryTree {
    fn look(&self, path: &Path) -> Result<Seen, FsError> {
        let (place, seen) = look_and_hold(self.directory.as_fd(), path)?;
        match seen.kind {
            FileKind::Symlink => Ok(seen.showing(&self.shown_target(path, &link_target(place.as_fd())?))),
            _ => Ok(seen),
        }
    }

    fn open(&self, path: &Path, identity: Identity) -> Result<OpenImage, FsError> {
        let (file, seen) = open_image(self.directory.as_fd(), path, identity)?;
        Ok(OpenImage::new(seen, HostFile(file)))
    }

    fn read_link(&self, path: &Path, identity: Identity) -> Result<PathBuf, FsError> {
        let target = read_link(self.directory.as_fd(), path, identity)?;
        match self.shown_target(path, &target) {
            LinkTarget::Inside(shown) => Ok(shown),
            LinkTarget::Escapes => Err(FsError::NotPermitted),
        }
    }

    /// Without mount points, which cannot be entered.
    fn list(&self, path: &Path) -> Result<Vec<Listed>, FsError> {
        let mut listed = list(self.directory.as_fd(), path)?;
        let top = self.root.join(path);
        let mounts = mountinfo::current();
        listed.retain(|entry| mountinfo::on_top(&mounts, &top.join(&entry.name)).is_none());
        Ok(listed)
    }

    fn xattrs(&self, path: &Path, identity: Identity) -> Result<Xattrs, FsError> {
        XattrPlace::open(self.directory.as_fd(), path, identity)?.all()
    }

    fn xattr(&self, path: &Path, identity: Identity, name: &OsStr) -> Result<Vec<u8>, FsError> {
        XattrPlace::open(self.directory.as_fd(), path, identity)?.one(name)
    }

    /// Nothing can be written here, so there is no room left.
    fn space(&self) -> Result<Space, FsError> {
        let space = rustix::fs::fstatvfs(&self.directory)?;
        let total_bytes = space.f_blocks.saturating_mul(space.f_frsize);
        Ok(Space { total_bytes, free_bytes: 0, files: space.f_files.saturating_sub(space.f_ffree) })
    }

    fn ttl(&self, kind: FileKind) -> Duration {
        if kind == FileKind::Symlink { LINK_TTL } else { IMAGE_TTL }
    }
}

/// An open file of the host.
#[derive(Debug)]
pub(super) struct HostFile(pub(super) File);

impl ImageBytes for HostFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_up_to(&self.0, buffer, offset)
    }

    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        seek_sparse(&self.0, whence, offset)
    }

    fn look_again(&self) -> Result<Seen, FsError> {
        look_at(self.0.as_fd())
    }
}

/// Fills `buffer`, or as much of it as the file has left.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn real_path_on_root(target: &Path) -> io::Result<PathBuf> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = rustix::fs::openat2(open_directory(Path::new("/"))?, target, flags, Mode::empty(), resolve)?;
    std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn source() -> (tempfile::TempDir, DirectoryTree) {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("d/e")).unwrap();
        fs::write(top.path().join("d/f"), "contents").unwrap();
        symlink("/etc/passwd", top.path().join("d/out")).unwrap();
        symlink(top.path().join("d/f"), top.path().join("d/e/in")).unwrap();
        let tree = DirectoryTree::open(&top.path().canonicalize().unwrap().join("d")).unwrap();
        (top, tree)
    }

    #[test]
    fn links_out_are_refused_and_links_in_made_relative() {
        let (top, source) = source();
        let identity = |path: &str| source.look(Path::new(path)).unwrap().identity;
        let (out, inside) = (identity("out"), identity("e/in"));
        assert!(matches!(source.read_link(Path::new("out"), out), Err(FsError::NotPermitted)));
        assert_eq!(source.read_link(Path::new("e/in"), inside).unwrap(), Path::new("../f"));
        assert!(
            matches!(source.read_link(Path::new("e/in"), out), Err(FsError::Stale)),
            "another one by now"
        );
        drop(top);
        assert!(matches!(source.read_link(Path::new("out"), out), Err(FsError::Stale)));
    }

    #[test]
    fn no_link_climbs_over_the_top_of_all_directories() {
        let all = DirectoryTree::open(Path::new("/")).unwrap();
        let shown = |link: &str, target: &str| all.shown_target(Path::new(link), Path::new(target));
        assert_eq!(shown("usr/lib/l", "../../../../etc/x"), LinkTarget::Inside("../../etc/x".into()));
        assert_eq!(shown("l", ".."), LinkTarget::Inside(".".into()));
        assert_eq!(shown("etc/l", "/usr"), LinkTarget::Inside("../usr".into()));
        let (top, source) = source();
        assert_eq!(source.shown_target(Path::new("l"), Path::new("../x")), LinkTarget::Escapes);
        drop(top);
    }

    #[test]
    fn no_path_leads_out() {
        let (top, source) = source();
        fs::write(top.path().join("secret"), "").unwrap();
        symlink("..", top.path().join("d/up")).unwrap();
        for path in ["../secret", "e/../../secret", "/etc/passwd", "out", "up/secret"] {
            let seen = source.look(Path::new(path));
            assert!(seen.is_err() || path == "out", "{path}");
        }
    }

    #[test]
    fn a_replaced_file_is_stale() {
        let (top, source) = source();
        let seen = source.look(Path::new("f")).unwrap();
        fs::write(top.path().join("d/g"), "other").unwrap();
        fs::rename(top.path().join("d/g"), top.path().join("d/f")).unwrap();
        assert!(matches!(source.open(Path::new("f"), seen.identity), Err(FsError::Stale)));
    }
}
