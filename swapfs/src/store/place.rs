//! Where new stores are made and how, and old ones unmade.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Budget, CompressedStore, EncryptedStore, PageCache, SparseStore, Store, StoreError};

/// Where swap files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StorePlace {
    /// In memory, gone with the mount.
    #[default]
    Memory,
    /// The same, compressed.
    Compressed,
    /// As files in this directory.
    Directory(PathBuf),
}

/// Whether the medium can be read by others than this mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// What is written stands there.
    #[default]
    None,
    /// What is written is encrypted with a key that goes with the mount, or with the swap file if that goes
    /// first.
    OwnKey,
}

/// How swap files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// Where.
    pub place: StorePlace,
    /// Which way data takes to a directory.
    pub page_cache: PageCache,
    /// Whether files in a directory are encrypted. Those have no names there, as nobody could read them
    /// later.
    pub encryption: Encryption,
    /// The most memory that compressed stores may take together, in bytes.
    pub most_memory_bytes: Option<u64>,
}

/// Makes the stores of one mount.
#[derive(Debug)]
pub struct Stores {
    options: StoreOptions,
    budget: Arc<Budget>,
}

impl Stores {
    /// Stores that are kept so.
    pub fn new(options: StoreOptions) -> Self {
        let budget = Arc::new(Budget::new(options.most_memory_bytes));
        Stores { options, budget }
    }

    /// A store for the swap file `name`. One that the directory has from before is used again, if it has this
    /// size.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create(&self, name: &str, size_bytes: u64) -> Result<Box<dyn Store>, StoreError> {
        let StoreOptions { page_cache, encryption, .. } = self.options;
        Ok(match (&self.options.place, encryption) {
            (StorePlace::Memory, _) => Box::new(SparseStore::in_memory(name, size_bytes)?),
            (StorePlace::Compressed, _) => Box::new(CompressedStore::new(size_bytes, self.budget.clone())),
            (StorePlace::Directory(directory), Encryption::None) => {
                Box::new(SparseStore::in_directory(directory, name, size_bytes, page_cache)?)
            }
            (StorePlace::Directory(directory), Encryption::OwnKey) => {
                let path = directory.join(name);
                if path.symlink_metadata().is_ok() {
                    return Err(StoreError::Unencrypted(path));
                }
                let inner_size = EncryptedStore::inner_size_bytes(size_bytes);
                let inner = SparseStore::nameless(directory, inner_size, page_cache)?;
                Box::new(EncryptedStore::new(Box::new(inner), size_bytes)?)
            }
        })
    }

    /// How much more can be stored, as far as that is known.
    pub fn room_bytes(&self) -> u64 {
        match &self.options.place {
            StorePlace::Memory => u64::MAX,
            StorePlace::Compressed => self.budget.left_bytes(),
            StorePlace::Directory(directory) => rustix::fs::statvfs(directory)
                .map_or(u64::MAX, |space| space.f_bavail.saturating_mul(space.f_frsize)),
        }
    }

    /// Takes the store's name away: its bytes go with its last user.
    ///
    /// # Errors
    /// As `unlink(2)`.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match (&self.options.place, self.options.encryption) {
            (StorePlace::Directory(directory), Encryption::None) => {
                std::fs::remove_file(directory.join(name))?;
                std::fs::File::open(directory)?.sync_all()
            }
            _ => Ok(()),
        }
    }
}
