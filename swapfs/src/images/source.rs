//! One source of images: what it is, and under which name it is shown.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::archive::{ArchiveError, note, open_archive};
use super::closure::{ClosureError, ClosureTree};
use super::directory::DirectoryTree;
use super::tree::Tree;
use crate::units::show_name;

/// A source as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSpec {
    /// `--images SRC`: under its own last component; one that ends in `/` fills `images/` itself.
    Shown(OsString),
    /// `--image NAME=PATH`: under that name; an archive is shown as the directory that it holds.
    Named {
        /// The name.
        name: OsString,
        /// What is shown under it.
        path: PathBuf,
    },
    /// `--with-libs PROGRAM`, all of them: their closure fills `images/` itself.
    WithLibs(Vec<PathBuf>),
}

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
    /// It looks like an archive, and is a bad one.
    #[error("image source {path} cannot be shown as an archive")]
    Archive {
        /// As given.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// A program that cannot be shown with its libraries.
    #[error("a program of --with-libs cannot be shown with its libraries")]
    Closure(#[from] ClosureError),
    /// It has no last component to be shown under.
    #[error(
        "image source {0} has no name to be shown under; end it in `/` to show its contents directly, or use --image NAME={0}"
    )]
    Nameless(PathBuf),
    /// Two sources would be shown under one name.
    #[error("two image sources are called `{}`; give one another name with --image NAME=PATH", .0.display())]
    SameName(PathBuf),
    /// Two sources ending in `/`, or one and a closure.
    #[error(
        "image sources {0} and {1} would both fill images/ itself; end one in its name instead of `/`, or use --image NAME=PATH"
    )]
    TwoContents(PathBuf, PathBuf),
}

/// Where below `images/` a source is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Under this name; `base` is its path below the source's top (empty, or the name of a single file).
    Named {
        /// The name.
        name: OsString,
        /// Where it is below the top.
        base: PathBuf,
    },
    /// Its contents fill `images/` itself.
    Contents,
}

/// A source that is open.
#[derive(Debug)]
pub struct Source {
    tree: Box<dyn Tree>,
    placement: Placement,
}

impl ImageSpec {
    fn path(&self) -> &Path {
        match self {
            ImageSpec::Shown(path) => Path::new(path),
            ImageSpec::Named { path, .. } => path,
            ImageSpec::WithLibs(programs) => programs.first().map_or(Path::new(""), PathBuf::as_path),
        }
    }

    fn placement(&self, base: PathBuf) -> Result<Placement, SourceError> {
        let name = match self {
            ImageSpec::Named { name, .. } => name.clone(),
            ImageSpec::WithLibs(_) => return Ok(Placement::Contents),
            ImageSpec::Shown(path) if base.as_os_str().is_empty() && path.as_bytes().ends_with(b"/") => {
                return Ok(Placement::Contents);
            }
            ImageSpec::Shown(path) => {
                Path::new(path).file_name().ok_or_else(|| SourceError::Nameless(path.into()))?.to_owned()
            }
        };
        Ok(Placement::Named { name, base })
    }
}

/// Whether a source can be shown under `name`: one component of a path, as long as a file name may be.
pub fn is_image_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !matches!(bytes, b"" | b"." | b"..")
        && bytes.len() <= 255
        && !bytes.iter().any(|byte| b"/\0\n".contains(byte))
}

impl Source {
    /// Opens a source. Links on the way to it, and it itself being one, are followed once, now.
    ///
    /// # Errors
    /// [`SourceError`] with the source as given.
    pub fn open(spec: &ImageSpec) -> Result<Source, SourceError> {
        if let ImageSpec::WithLibs(programs) = spec {
            return Source::with_libs(programs);
        }
        let given = spec.path();
        let failed = |source: io::Error| SourceError::Open { path: given.to_owned(), source };
        let real = given.canonicalize().map_err(failed)?;
        let metadata = real.metadata().map_err(failed)?;
        let noted = || {
            if let Some(what) = note(&real) {
                tracing::warn!("image source {} is {what}", show_name(&given.to_string_lossy()));
            }
        };
        if metadata.is_dir() {
            noted();
            let tree = Box::new(DirectoryTree::open(&real).map_err(failed)?);
            return Ok(Source { tree, placement: spec.placement(PathBuf::new())? });
        }
        if !metadata.is_file() {
            return Err(SourceError::Kind(given.to_owned()));
        }
        if let ImageSpec::Named { .. } = spec {
            let archive = open_archive(&real);
            if let Some(tree) =
                archive.map_err(|source| SourceError::Archive { path: given.to_owned(), source })?
            {
                return Ok(Source { tree, placement: spec.placement(PathBuf::new())? });
            }
        }
        noted();
        let (Some(parent), Some(base)) = (real.parent(), real.file_name()) else {
            return Err(SourceError::Kind(given.to_owned()));
        };
        let tree = Box::new(DirectoryTree::open(parent).map_err(failed)?);
        Ok(Source { tree, placement: spec.placement(base.into())? })
    }

    fn with_libs(programs: &[PathBuf]) -> Result<Source, SourceError> {
        Ok(Source { tree: Box::new(ClosureTree::open(programs)?), placement: Placement::Contents })
    }

    /// Opens all sources of a mount and checks that they can stand side by side.
    ///
    /// # Errors
    /// The first [`SourceError`].
    pub fn open_all(specs: &[ImageSpec]) -> Result<Vec<Source>, SourceError> {
        let mut sources: Vec<(Source, &ImageSpec)> = Vec::new();
        for spec in specs {
            let source = Source::open(spec)?;
            for (other, other_spec) in &sources {
                match (&source.placement, &other.placement) {
                    (Placement::Contents, Placement::Contents) => {
                        return Err(SourceError::TwoContents(other_spec.path().into(), spec.path().into()));
                    }
                    (Placement::Named { name, .. }, Placement::Named { name: taken, .. })
                        if name == taken =>
                    {
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

    /// What is shown, below the source's top: a single file, or all of it (an empty path).
    pub fn base(&self) -> &Path {
        match &self.placement {
            Placement::Named { base, .. } => base,
            Placement::Contents => Path::new(""),
        }
    }

    /// The visible path, from the top of the mount, of what is at `path` below the source's top.
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

    /// Its files.
    pub fn tree(&self) -> &dyn Tree {
        &*self.tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("d/e")).unwrap();
        fs::write(top.path().join("d/f"), "contents").unwrap();
        top
    }

    fn shown(path: impl AsRef<OsStr>) -> ImageSpec {
        ImageSpec::Shown(path.as_ref().to_owned())
    }

    fn named(name: &str, path: PathBuf) -> ImageSpec {
        ImageSpec::Named { name: name.into(), path }
    }

    #[test]
    fn visible_paths() {
        let top = tree();
        let source = Source::open(&shown(top.path().join("d"))).unwrap();
        assert_eq!(source.visible_path(Path::new("e/x")), Path::new("images/d/e/x"));
        assert_eq!(source.visible_path(Path::new("")), Path::new("images/d"));
        let file = Source::open(&shown(top.path().join("d/f"))).unwrap();
        assert_eq!(file.visible_path(Path::new("f")), Path::new("images/f"));
        let contents = Source::open(&shown(format!("{}/", top.path().display()))).unwrap();
        assert_eq!(contents.visible_path(Path::new("d/f")), Path::new("images/d/f"));
        let other = Source::open(&named("other", top.path().join("d/"))).unwrap();
        assert_eq!(other.visible_path(Path::new("e/x")), Path::new("images/other/e/x"));
        let file = Source::open(&named("one", top.path().join("d/f"))).unwrap();
        assert_eq!(file.visible_path(Path::new("f")), Path::new("images/one"));
    }

    #[test]
    fn names_of_sources() {
        assert!(is_image_name(OsStr::new("a b")) && is_image_name(OsStr::new("...")));
        for bad in ["", ".", "..", "a/b", "a\nb", &"x".repeat(256)] {
            assert!(!is_image_name(OsStr::new(bad)), "{bad}");
        }
    }

    #[test]
    fn sources_that_do_not_go_together() {
        let top = tree();
        let d = || shown(top.path().join("d"));
        let slash = || shown(format!("{}/", top.path().display()));
        assert!(matches!(Source::open_all(&[d(), d()]), Err(SourceError::SameName(_))));
        assert!(matches!(
            Source::open_all(&[d(), named("d", top.path().into())]),
            Err(SourceError::SameName(_))
        ));
        assert!(Source::open_all(&[d(), named("e", top.path().join("d"))]).is_ok());
        assert!(matches!(Source::open_all(&[slash(), slash()]), Err(SourceError::TwoContents(..))));
        assert!(matches!(Source::open(&shown("/dev/null")), Err(SourceError::Kind(_))));
        assert!(matches!(Source::open(&shown("/nowhere/x")), Err(SourceError::Open { .. })));
        assert!(matches!(Source::open(&shown("/..")), Err(SourceError::Nameless(_))));
    }
}
