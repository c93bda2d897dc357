//! Where new stores are made, and old ones unmade.

use std::io;
use std::path::PathBuf;

use super::{SparseStore, Store, StoreError};

/// Where swap files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StorePlace {
    /// In memory, gone with the mount.
    #[default]
    Memory,
    /// As files in this directory.
    Directory(PathBuf),
}

impl StorePlace {
    /// A store for the swap file `name`. One that the directory has from before is used again, if it has this size.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create(&self, name: &str, size_bytes: u64) -> Result<Box<dyn Store>, StoreError> {
        let store = match self {
            StorePlace::Memory => SparseStore::in_memory(name, size_bytes)?,
            StorePlace::Directory(directory) => SparseStore::in_directory(directory, name, size_bytes)?,
        };
        Ok(Box::new(store))
    }

    /// Takes the store's name away: its bytes go with its last user.
    ///
    /// # Errors
    /// As `unlink(2)`.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match self {
            StorePlace::Memory => Ok(()),
            StorePlace::Directory(directory) => std::fs::remove_file(directory.join(name)),
        }
    }
}
