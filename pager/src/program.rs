//! Finding the program as a shell would.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};
use thiserror::Error;

/// What a shell searches when PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The program's file, open for reading.
#[derive(Debug)]
pub struct Program {
    /// Absolute path, links not followed.
    pub path: PathBuf,
    /// The file.
    pub file: File,
}

/// Why there is nothing to run.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// No such file at the path given.
    #[error("{path}: no such program; check the path")]
    NoSuchFile {
        /// As typed.
        path: PathBuf,
    },
    /// Not in any directory of PATH.
    #[error("{}: not found in PATH; check the spelling, or give a path such as ./{}", name.display(), name.display())]
    NotInPath {
        /// As typed.
        name: OsString,
    },
    /// There, but a directory or the like.
    #[error("{path}: this is not a program but {what}")]
    NotAFile {
        /// Where it was found.
        path: PathBuf,
        /// In words.
        what: &'static str,
    },
    /// There, but not for us to execute.
    #[error(
        "{path}: may not be executed; `chmod +x` it, and check that its file system is not mounted noexec"
    )]
    NotExecutable {
        /// Where it was found.
        path: PathBuf,
    },
    /// May be executed but not read, or opening failed.
    #[error("{path}: cannot be read, which paging needs")]
    NotReadable {
        /// Where it was found.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ProgramError {
    /// The exit status that a shell gives for this.
    pub fn exit_code(&self) -> u8 {
        match self {
            ProgramError::NoSuchFile { .. } | ProgramError::NotInPath { .. } => 127,
            _ => 126,
        }
    }
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Search {
    /// The value of PATH.
    path: OsString,
    /// A directory that stands for `/` first.
    root: Option<PathBuf>,
}

impl Search {
    /// Looks in the directories of `path` (of a default if `None`); in `root` first, if there is one.
    pub fn new(path: Option<OsString>, root: Option<PathBuf>) -> Search {
        Search { path: path.unwrap_or_else(|| DEFAULT_PATH.into()), root }
    }

    /// As the environment says.
    pub fn from_env(root: Option<PathBuf>) -> Search {
        Search::new(env::var_os("PATH"), root)
    }

    /// Finds and opens `name`: a path if it has a slash, else the first executable file of that name in PATH.
    ///
    /// # Errors
    ///
    /// Of the first candidate that was there but could not be used, else that there was none.
    pub fn open(&self, name: &OsStr) -> Result<Program, ProgramError> {
        let mut refused = None;
        for candidate in self.candidates(name) {
            match open(&candidate) {
                Ok(program) => return Ok(program),
                Err(ProgramError::NoSuchFile { .. }) => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| match has_slash(name) {
            true => ProgramError::NoSuchFile { path: name.into() },
            false => ProgramError::NotInPath { name: name.into() },
        }))
    }

    /// Paths to try, in order.
    fn candidates(&self, name: &OsStr) -> Vec<PathBuf> {
        let plain: Vec<PathBuf> = match has_slash(name) {
            _ if name.is_empty() => Vec::new(),
            true => vec![name.into()],
            false => env::split_paths(&self.path).map(|directory| in_directory(&directory, name)).collect(),
        };
        let in_root = self.root.iter().flat_map(|root| {
            let absolute = plain.iter().filter(|path| path.is_absolute());
            absolute.map(|path| root.join(path.strip_prefix("/").unwrap_or(path)))
        });
        in_root.chain(plain.iter().cloned()).collect()
    }
}

fn has_slash(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'/')
}

/// An empty entry of PATH is the current directory.
fn in_directory(directory: &Path, name: &OsStr) -> PathBuf {
    match directory.as_os_str().is_empty() {
        true => Path::new(".").join(name),
        false => directory.join(name),
    }
}

fn open(path: &Path) -> Result<Program, ProgramError> {
    let missing =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let not_readable = |source| ProgramError::NotReadable { path: path.to_owned(), source };
    let kind = match path.metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(error) if missing(&error) => return Err(ProgramError::NoSuchFile { path: path.to_owned() }),
        Err(error) => return Err(not_readable(error)),
    };
    if !kind.is_file() {
        let what = if kind.is_dir() { "a directory" } else { "a device, pipe or socket" };
        return Err(ProgramError::NotAFile { path: path.to_owned(), what });
    }
    faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)
        .map_err(|_| ProgramError::NotExecutable { path: path.to_owned() })?;
    let file = File::open(path).map_err(not_readable)?;
    let path = std::path::absolute(path).map_err(not_readable)?;
    Ok(Program { path, file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A tree with `a/tool` (not executable), `b/tool` (executable), `b/dir/`, and `root/` with a `bin/tool`
    /// inside.
    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().expect("a directory");
        let at = |path: &str| tree.path().join(path);
        for directory in ["a", "b/dir", "root/bin"] {
            std::fs::create_dir_all(at(directory)).expect("a directory");
        }
        for (path, mode) in [("a/tool", 0o644), ("b/tool", 0o755), ("root/bin/tool", 0o755)] {
            std::fs::write(at(path), "#!/bin/sh\n").expect("a file");
            std::fs::set_permissions(at(path), PermissionsExt::from_mode(mode)).expect("a mode");
        }
        tree
    }

    fn search(tree: &tempfile::TempDir, directories: &[&str]) -> Search {
        let path = env::join_paths(directories.iter().map(|directory| tree.path().join(directory)))
            .expect("no colons");
        Search::new(Some(path), None)
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_passed_over() {
        let tree = tree();
        let program = search(&tree, &["a", "b"]).open("tool".as_ref()).expect("found");
        assert_eq!(program.path, tree.path().join("b/tool"));
    }

    #[test]
    fn only_unusable_files_give_126_and_none_gives_127() {
        let tree = tree();
        let error = search(&tree, &["a"]).open("tool".as_ref()).expect_err("not executable");
        assert!(matches!(error, ProgramError::NotExecutable { .. }), "{error}");
        assert_eq!(error.exit_code(), 126);
        let error = search(&tree, &["b"]).open("dir".as_ref()).expect_err("a directory");
        assert_eq!(error.exit_code(), 126);
        let error = search(&tree, &["a", "b"]).open("no-such-tool".as_ref()).expect_err("not there");
        assert_eq!(error.exit_code(), 127);
        assert!(error.to_string().contains("not found in PATH"));
        let error = search(&tree, &["a"]).open("./no/such/tool".as_ref()).expect_err("not there");
        assert_eq!(error.exit_code(), 127);
        assert_eq!(search(&tree, &["a"]).open("".as_ref()).expect_err("no name").exit_code(), 127);
    }

    #[test]
    fn the_root_comes_first_and_then_the_plain_path() {
        let tree = tree();
        let root = tree.path().join("root");
        let search = Search::new(Some("/bin".into()), Some(root.clone()));
        assert_eq!(search.open("tool".as_ref()).expect("in the root").path, root.join("bin/tool"));
        assert_eq!(search.open("/bin/tool".as_ref()).expect("in the root").path, root.join("bin/tool"));
        assert_eq!(search.open("/bin/sh".as_ref()).expect("outside").path, Path::new("/bin/sh"));
        let inside = root.join("bin/tool");
        assert_eq!(search.open(inside.as_os_str()).expect("as given").path, inside);
    }

    #[test]
    fn an_empty_entry_of_the_path_is_the_current_directory() {
        assert_eq!(in_directory(Path::new(""), "x".as_ref()), Path::new("./x"));
    }
}
