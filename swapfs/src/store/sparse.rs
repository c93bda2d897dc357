//! Stores that are a sparse file: one in a directory, which outlives the daemon, or one in memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, FlockOperation, MemfdFlags};

use super::{Store, Whence, seek_sparse};
use crate::units::show_bytes;

/// Why a swap file cannot be kept where it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file in it cannot be used.
    #[error("swap store {path} cannot be opened, give a directory that you may write, or `memory`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another mount has it.
    #[error("swap store {0} is in use by another swapfs; unmount that one, or use another directory")]
    Busy(PathBuf),
    /// The file is there from before, with another size.
    #[error("swap store {path} has {found} bytes, not {asked}; ask for {found}, or remove the file")]
    OtherSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size asked for.
        asked: u64,
    },
    /// Something else stands there.
    #[error("swap store {0} is not a regular file; remove it, or use another directory")]
    Kind(PathBuf),
    /// Memory of that size cannot be had.
    #[error("no swap file of {} can be had in memory", show_bytes(*.bytes))]
    Memory {
        /// Size asked for.
        bytes: u64,
        /// Why.
        source: io::Error,
    },
}

/// A store that is a sparse file.
#[derive(Debug)]
pub struct SparseStore {
    file: File,
    size_bytes: AtomicU64,
}

impl SparseStore {
    /// A store in memory, gone with the daemon.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub fn in_memory(name: &str, size_bytes: u64) -> Result<Self, StoreError> {
        let create = || -> io::Result<File> {
            let file = File::from(rustix::fs::memfd_create(format!("swapfs-{name}"), MemfdFlags::CLOEXEC)?);
            file.set_len(size_bytes)?;
            Ok(file)
        };
        let file = create().map_err(|source| StoreError::Memory { bytes: size_bytes, source })?;
        Ok(SparseStore { file, size_bytes: AtomicU64::new(size_bytes) })
    }

    /// A store that is the file `name` in `directory`: made if it is not there, locked against other mounts.
    ///
    /// # Errors
    /// [`StoreError`] with the path of the file.
    pub fn in_directory(directory: &Path, name: &str, size_bytes: u64) -> Result<Self, StoreError> {
        let path = directory.join(name);
        let failed = |source: io::Error| StoreError::Open { path: path.clone(), source };
        let file = open_private(&path).map_err(failed)?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(StoreError::Busy(path));
        }
        let metadata = file.metadata().map_err(failed)?;
        match metadata.len() {
            _ if !metadata.is_file() => return Err(StoreError::Kind(path)),
            0 => file.set_len(size_bytes).map_err(failed)?,
            found if found == size_bytes => {}
            found => return Err(StoreError::OtherSize { path, found, asked: size_bytes }),
        }
        file.set_permissions(PermissionsExt::from_mode(0o600)).map_err(failed)?;
        Ok(SparseStore { file, size_bytes: AtomicU64::new(size_bytes) })
    }
}

/// Opens or makes a file for its owner only; never through a symlink.
fn open_private(path: &Path) -> io::Result<File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags as i32)
        .open(path)
}

impl Store for SparseStore {
    fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    fn resize(&self, size_bytes: u64) -> io::Result<()> {
        self.file.set_len(size_bytes)?;
        self.size_bytes.store(size_bytes, Ordering::Release);
        Ok(())
    }

    fn allocated_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.blocks() * 512)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn punch(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(&self.file, mode, offset, bytes)?)
    }

    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, bytes)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        seek_sparse(&self.file, whence, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: usize = 1 << 20;

    #[test]
    fn contents_outlive_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = SparseStore::in_directory(directory.path(), "s", 8192).unwrap();
        store.write_at(b"kept", 4096).unwrap();
        assert!(matches!(SparseStore::in_directory(directory.path(), "s", 8192), Err(StoreError::Busy(_))));
        drop(store);
        let other = SparseStore::in_directory(directory.path(), "s", 4096);
        assert!(matches!(other, Err(StoreError::OtherSize { found: 8192, asked: 4096, .. })));
        let store = SparseStore::in_directory(directory.path(), "s", 8192).unwrap();
        let mut buffer = [0; 4];
        store.read_at(&mut buffer, 4096).unwrap();
        assert_eq!(&buffer, b"kept");
    }

    #[test]
    fn a_symlink_in_the_store_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("s")).unwrap();
        assert!(matches!(SparseStore::in_directory(directory.path(), "s", 4096), Err(StoreError::Open { .. })));
    }

    #[test]
    fn what_is_cut_off_is_gone() {
        let store = SparseStore::in_memory("t", 8192).unwrap();
        store.write_at(&[7; 8192], 0).unwrap();
        store.resize(4096).unwrap();
        store.resize(1 << 40).unwrap();
        assert_eq!(store.size_bytes(), 1 << 40);
        let mut buffer = [1; 8192];
        store.read_at(&mut buffer, 0).unwrap();
        assert_eq!((buffer[4095], buffer[4096], buffer[8191]), (7, 0, 0));
    }

    #[test]
    fn holes_take_no_room() {
        let store = SparseStore::in_memory("t", 1 << 40).unwrap();
        assert_eq!(store.allocated_bytes(), 0);
        store.write_at(&[1; 65536], 1 << 30).unwrap();
        let full = store.allocated_bytes();
        assert!((65536..=4 << 20).contains(&full));
        store.punch(1 << 30, 65536).unwrap();
        assert!(store.allocated_bytes() < full);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write(usize, Vec<u8>),
        Punch(usize, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write = (0..SIZE, proptest::collection::vec(any::<u8>(), 1..9000)).prop_map(|(at, data)| {
            let room = SIZE - at;
            Step::Write(at, data.into_iter().take(room).collect())
        });
        let punch = (0..SIZE, 1..90_000usize).prop_map(|(at, len)| Step::Punch(at, len.min(SIZE - at)));
        proptest::collection::vec(prop_oneof![write, punch], 1..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn like_an_array(steps in steps()) {
            let store = SparseStore::in_memory("model", SIZE as u64).unwrap();
            let mut model = vec![0u8; SIZE];
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        store.write_at(&data, at as u64).unwrap();
                        model[at..at + data.len()].copy_from_slice(&data);
                    }
                    Step::Punch(at, len) => {
                        store.punch(at as u64, len as u64).unwrap();
                        model[at..at + len].fill(0);
                    }
                }
            }
            let mut all = vec![1; SIZE];
            store.read_at(&mut all, 0).unwrap();
            prop_assert!(all == model);
        }
    }
}
