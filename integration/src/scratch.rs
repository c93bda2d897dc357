//! A folder that goes when its owner goes.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A private folder under the system's temporary one, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A new empty folder whose name starts with `name`.
    ///
    /// # Panics
    ///
    /// When the temporary folder cannot be written.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("pager-{name}-")).tempdir();
        Self { folder: folder.expect("the temporary folder can be written") }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of `name` in the folder, which may not exist.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes the folder `name` in it.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).expect("a folder in the scratch folder can be made");
        path
    }

    /// Writes `bytes` to the file `name` in it.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, bytes).expect("a file in the scratch folder can be written");
        path
    }
}
