//! Making, resizing and removing swap files while mounted.
//!
//! The kernel lets only the mount's owner (or root) do so through the mount, as the directory and the files
//! are the owner's alone; `.swapfs/command` is too.

use super::swap_file::SwapFile;
use super::{Entry, Opened, Service};
use crate::filesystem::inode::{InodeTable, SWAP};
use crate::filesystem::{FsError, Ino};
use crate::store::StoreError;

/// Whether a swap file may be called so.
pub fn is_swap_name(name: &str) -> bool {
    !(name.is_empty() || name == "." || name == ".." || name.len() > 255 || name.contains(['/', '\0', '\n']))
}

/// Why there is no new swap file.
#[derive(Debug)]
pub(super) enum AddError {
    /// It may not be called so.
    Name,
    /// The name is taken.
    Exists,
    /// It cannot be kept.
    Store(StoreError),
}

impl From<AddError> for FsError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Name => FsError::Invalid,
            AddError::Exists | AddError::Store(StoreError::OtherSize { .. } | StoreError::Busy(_)) => {
                FsError::Exists
            }
            AddError::Store(StoreError::Open { source, .. } | StoreError::Memory { source, .. }) => {
                FsError::Io(source)
            }
            AddError::Store(StoreError::Kind(_) | StoreError::Unencrypted(_)) => FsError::NotPermitted,
            AddError::Store(StoreError::Key(_)) => FsError::Io(std::io::ErrorKind::Other.into()),
        }
    }
}

impl Service {
    /// Makes the swap file `name` in the directory `parent`, empty, and opens it for the thread `tid`.
    ///
    /// # Errors
    /// [`FsError::ReadOnly`] in any directory but `swap`, [`FsError::Exists`] where the store has a file of
    /// that name with contents.
    pub fn create(&self, tid: u32, parent: Ino, name: &std::ffi::OsStr) -> Result<(Entry, Opened), FsError> {
        let name = swap_name(parent, name)?;
        let ino = self.add_swap(name, 0)?;
        let opened = self.open(tid, ino, super::Access::Write, |_| String::new())?;
        Ok((self.getattr(ino, None)?, opened))
    }

    /// Removes the swap file `name`. Who has it open keeps it; its contents go with the last of them.
    ///
    /// # Errors
    /// [`FsError::ReadOnly`] in any directory but `swap`, [`FsError::NotFound`].
    pub fn unlink(&self, parent: Ino, name: &std::ffi::OsStr) -> Result<(), FsError> {
        self.remove_swap(swap_name(parent, name)?)
    }

    pub(super) fn add_swap(&self, name: &str, size_bytes: u64) -> Result<Ino, AddError> {
        if !is_swap_name(name) {
            return Err(AddError::Name);
        }
        if self.swaps.read().by_name(name).is_some() {
            return Err(AddError::Exists);
        }
        let store = self.plan.store.create(name, size_bytes).map_err(AddError::Store)?;
        let index =
            self.swaps.write().insert(SwapFile { name: name.to_owned(), store }).ok_or(AddError::Exists)?;
        Ok(InodeTable::swap_file(index))
    }

    pub(super) fn remove_swap(&self, name: &str) -> Result<(), FsError> {
        let file = self.swaps.write().remove(name).ok_or(FsError::NotFound)?;
        self.plan.store.remove(&file.name)?;
        Ok(())
    }

    pub(super) fn resize_swap(&self, name: &str, size_bytes: u64) -> Result<(), FsError> {
        let (_, file) = self.swaps.read().by_name(name).ok_or(FsError::NotFound)?;
        if i64::try_from(size_bytes).is_err() {
            return Err(FsError::Invalid);
        }
        Ok(file.store.resize(size_bytes)?)
    }

    /// A line for each: size, room taken, name.
    pub(super) fn list_swaps(&self) -> String {
        let files: Vec<_> = self.swaps.read().named().map(|(_, file)| file.clone()).collect();
        let line = |file: &std::sync::Arc<SwapFile>| {
            format!("{} {} {}\n", file.store.size_bytes(), file.store.allocated_bytes(), file.name)
        };
        files.iter().map(line).collect()
    }
}

fn swap_name(parent: Ino, name: &std::ffi::OsStr) -> Result<&str, FsError> {
    if parent != SWAP {
        return Err(FsError::ReadOnly);
    }
    name.to_str().ok_or(FsError::Invalid)
}
