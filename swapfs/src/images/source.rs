//! One `--images SRC`: where it is kept, and under which name it is shown.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::listing::{Listed, list};
use super::walk::{OpenImage, Seen, look, open_image, read_link};
use crate::filesystem::FsError;
use crate::filesystem::inode::Identity;
use crate::filesystem::symlink::{LinkTarget, confine};
use crate::mountinfo;

/// Why a source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be opened.
    #[error("image source {path} cannot be opened, give a directory or regular file that you may read")]
    Open {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a device, a socket, ...
    #[error("image source {0} is neither a directory nor a regular file")]
    Kind(PathBuf),
    /// It has no last component to be shown under.
    #[error("image source {0} has no name to be shown under; end it in `/` to show its contents directly")]
    Nameless(PathBuf),
    /// Two sources would be shown under one name.
    #[error("two image sources are called `{}`; rename one, or mount twice", .0.display())]
    SameName(PathBuf),
    /// Two sources ending in `/`.
    #[error("image sources {0} and {1} both end in `/`; only one source can fill images/ directly")]
    TwoContents(PathBuf, PathBuf),
}

/// Where below `images/` a source is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Under this name; `base` is its path below the source's directory (empty, or the name of a single file).
    Named {
        /// The name.
        name: OsString,
        /// Where it is below the directory.
        base: PathBuf,
    },
    /// Its contents fill `images/` itself.
    Contents,
}

/// A source, held open by its directory: renaming the way to it changes nothing.
#[derive(Debug)]
pub struct Source {
    directory: OwnedFd,
    /// Where the directory was when it was opened; to read absolute links and mount points by.
    root: PathBuf,
    placement: Placement,
}

impl Source {
    /// Opens the source given as `spec`: `/usr/lib` is shown as `images/lib`, the contents of `/usr/` in `images/` itself,
    /// `/bin/ls` as `images/ls`. Links on the way to it, and it itself being one, are followed once, now.
    ///
    /// # Errors
    /// [`SourceError`] with the source as given.
    pub fn open(spec: &OsStr) -> Result<Source, SourceError> {
        let given = Path::new(spec);
        let failed = |source: io::Error| SourceError::Open { path: given.to_owned(), source };
        let real = given.canonicalize().map_err(failed)?;
        let metadata = real.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let placement =
                if spec.as_bytes().ends_with(b"/") { Placement::Contents } else { named(given, PathBuf::new())? };
            let directory = open_directory(&real).map_err(failed)?;
            return Ok(Source { directory, root: real, placement });
        }
        if !metadata.is_file() {
            return Err(SourceError::Kind(given.to_owned()));
        }
        let (Some(parent), Some(base)) = (real.parent(), real.file_name()) else {
            return Err(SourceError::Kind(given.to_owned()));
        };
        let directory = open_directory(parent).map_err(failed)?;
        Ok(Source { directory, root: parent.to_owned(), placement: named(given, base.into())? })
    }

    /// Opens all sources of a mount and checks that they can stand side by side.
    ///
    /// # Errors
    /// The first [`SourceError`].
    pub fn open_all(specs: &[OsString]) -> Result<Vec<Source>, SourceError> {
        let mut sources: Vec<(Source, &OsString)> = Vec::new();
        for spec in specs {
            let source = Source::open(spec)?;
            for (other, other_spec) in &sources {
                match (&source.placement, &other.placement) {
                    (Placement::Contents, Placement::Contents) => {
                        return Err(SourceError::TwoContents(other_spec.into(), spec.into()));
                    }
                    (Placement::Named { name, .. }, Placement::Named { name: taken, .. }) if name == taken => {
                        return Err(SourceError::SameName(name.into()));
                    }
                    _ => {}
                }
            }
            sources.push((source, spec));
        }
        Ok(sources.into_iter().map(|(source, _)| source).collect())
    }

    /// Where it is shown.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The visible path, from the top of the mount, of what is at `path` below the source's directory.
    pub fn visible_path(&self, path: &Path) -> PathBuf {
        let images = Path::new("images");
        match &self.placement {
            Placement::Contents => images.join(path),
            Placement::Named { name, base } => {
                let below = path.strip_prefix(base).unwrap_or(path);
                let top = images.join(name);
                if below.as_os_str().is_empty() { top } else { top.join(below) }
            }
        }
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// [`FsError::NotFound`] if nothing that we show.
    pub fn look(&self, path: &Path) -> Result<Seen, FsError> {
        look(self.directory.as_fd(), path)
    }

    /// Opens the regular file at `path` if it is still the one with `identity`.
    ///
    /// # Errors
    /// [`FsError::Stale`] if it is not.
    pub fn open_image(&self, path: &Path, identity: Identity) -> Result<OpenImage, FsError> {
        open_image(self.directory.as_fd(), path, identity)
    }

    /// Where the symlink at `path` points, in a form that stays inside.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`] if it leaves the source.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf, FsError> {
        let target = read_link(self.directory.as_fd(), path)?;
        match confine(&self.root, path, &target) {
            LinkTarget::Inside(shown) => Ok(shown),
            LinkTarget::Escapes if target.is_absolute() => self.read_absolute_link(path, &target),
            LinkTarget::Escapes => Err(FsError::NotPermitted),
        }
    }

    /// An absolute target may reach the inside by another way (`/lib` for `/usr/lib`): ask where it really is. Only on the
    /// root's own mount, as a walk into other mounts may end in this one and wait for itself.
    fn read_absolute_link(&self, path: &Path, target: &Path) -> Result<PathBuf, FsError> {
        let real = real_path_on_root(target).map_err(|_| FsError::NotPermitted)?;
        match confine(&self.root, path, &real) {
            LinkTarget::Inside(shown) => Ok(shown),
            LinkTarget::Escapes => Err(FsError::NotPermitted),
        }
    }

    /// The names in the directory at `path`, without mount points, which cannot be entered.
    ///
    /// # Errors
    /// As reading a directory.
    pub fn list(&self, path: &Path) -> Result<Vec<Listed>, FsError> {
        let mut listed = list(self.directory.as_fd(), path)?;
        let top = self.root.join(path);
        let mounts = mountinfo::current();
        listed.retain(|entry| mountinfo::on_top(&mounts, &top.join(&entry.name)).is_none());
        Ok(listed)
    }
}

fn real_path_on_root(target: &Path) -> io::Result<PathBuf> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = rustix::fs::openat2(open_directory(Path::new("/"))?, target, flags, Mode::empty(), resolve)?;
    std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

fn named(given: &Path, base: PathBuf) -> Result<Placement, SourceError> {
    let name = given.file_name().ok_or_else(|| SourceError::Nameless(given.to_owned()))?;
    Ok(Placement::Named { name: name.to_owned(), base })
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

    fn tree() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("d/e")).unwrap();
        fs::write(top.path().join("d/f"), "contents").unwrap();
        symlink("/etc/passwd", top.path().join("d/out")).unwrap();
        symlink(top.path().join("d/f"), top.path().join("d/e/in")).unwrap();
        top
    }

    fn source(top: &tempfile::TempDir) -> Source {
        Source::open(top.path().join("d").as_os_str()).unwrap()
    }

    #[test]
    fn visible_paths() {
        let top = tree();
        assert_eq!(source(&top).visible_path(Path::new("e/x")), Path::new("images/d/e/x"));
        assert_eq!(source(&top).visible_path(Path::new("")), Path::new("images/d"));
        let file = Source::open(top.path().join("d/f").as_os_str()).unwrap();
        assert_eq!(file.visible_path(Path::new("f")), Path::new("images/f"));
        let contents = Source::open(OsStr::new(&format!("{}/", top.path().display()))).unwrap();
        assert_eq!(contents.visible_path(Path::new("d/f")), Path::new("images/d/f"));
    }

    #[test]
    fn links_out_are_refused_and_links_in_made_relative() {
        let source = source(&tree());
        assert!(matches!(source.read_link(Path::new("out")), Err(FsError::NotFound)));
        let top = tree();
        let source = self::source(&top);
        assert!(matches!(source.read_link(Path::new("out")), Err(FsError::NotPermitted)));
        assert_eq!(source.read_link(Path::new("e/in")).unwrap(), Path::new("../f"));
    }

    #[test]
    fn no_path_leads_out() {
        let top = tree();
        fs::write(top.path().join("secret"), "").unwrap();
        symlink("..", top.path().join("d/up")).unwrap();
        let source = source(&top);
        for path in ["../secret", "e/../../secret", "/etc/passwd", "out", "up/secret"] {
            let seen = source.look(Path::new(path));
            assert!(seen.is_err() || path == "out", "{path}");
        }
    }

    #[test]
    fn a_replaced_file_is_stale() {
        let top = tree();
        let source = source(&top);
        let seen = source.look(Path::new("f")).unwrap();
        fs::write(top.path().join("d/g"), "other").unwrap();
        fs::rename(top.path().join("d/g"), top.path().join("d/f")).unwrap();
        assert!(matches!(source.open_image(Path::new("f"), seen.identity), Err(FsError::Stale)));
    }

    #[test]
    fn sources_that_do_not_go_together() {
        let top = tree();
        let d = top.path().join("d").into_os_string();
        let slash = OsString::from(format!("{}/", top.path().display()));
        assert!(matches!(Source::open_all(&[d.clone(), d]), Err(SourceError::SameName(_))));
        assert!(matches!(Source::open_all(&[slash.clone(), slash]), Err(SourceError::TwoContents(..))));
        assert!(matches!(Source::open(OsStr::new("/dev/null")), Err(SourceError::Kind(_))));
        assert!(matches!(Source::open(OsStr::new("/nowhere/x")), Err(SourceError::Open { .. })));
    }
}
