//! Stores that are a sparse file: one in a directory, which outlives the daemon, or one in memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, FlockOperation, MemfdFlags};

use super::claims::{Claim, Claims, Use};
use super::direct::DirectFile;
use super::{BLOCK, Store, StoreError, Whence, around, seek_sparse, within};

/// memfd_create(2).
const LONGEST_LABEL: usize = 249;

/// Which way data takes to a file in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageCache {
    /// Through the kernel's page cache.
    #[default]
    Through,
    /// Past it (O_DIRECT) where the file system can, so that no second copy stays in memory. Parts of 4 KiB
    /// blocks go through it still.
    Past,
}

/// A store that is a sparse file.
#[derive(Debug)]
pub struct SparseStore {
    file: File,
    /// The same file for direct I/O.
    direct: Option<DirectFile>,
    size_bytes: AtomicU64,
    /// Changing the size excludes writes, which would extend the file again; and where some I/O goes through
    /// the page cache and some past it, the one excludes the other on the same blocks, as open(2) asks for.
    claims: Claims,
}

impl SparseStore {
    /// A store in memory, gone with the daemon.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub fn in_memory(name: &str, size_bytes: u64) -> Result<Self, StoreError> {
        let create = || -> io::Result<File> {
            // Only a label, for /proc/PID/maps; the kernel takes no more of it.
            let label: Vec<u8> =
                format!("swapfs-{name}").into_bytes().into_iter().take(LONGEST_LABEL).collect();
            let file = File::from(rustix::fs::memfd_create(label.as_slice(), MemfdFlags::CLOEXEC)?);
            file.set_len(size_bytes)?;
            Ok(file)
        };
        let file = create().map_err(|source| StoreError::Memory { bytes: size_bytes, source })?;
        Ok(SparseStore::of(file, None, size_bytes))
    }

    /// A store that is the file `name` in `directory`: made if it is not there, locked against other mounts.
    ///
    /// # Errors
    /// [`StoreError`] with the path of the file.
    pub fn in_directory(
        directory: &Path,
        name: &str,
        size_bytes: u64,
        page_cache: PageCache,
    ) -> Result<Self, StoreError> {
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
        // What fsync promises of the contents is worth nothing if a new name can be lost.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        let direct = open_direct(&file, &path, page_cache);
        Ok(SparseStore::of(file, direct, size_bytes))
    }

    /// A store that is a file without a name in `directory`: it goes with the daemon, however that ends.
    ///
    /// # Errors
    /// [`StoreError::Open`].
    pub fn nameless(directory: &Path, size_bytes: u64, page_cache: PageCache) -> Result<Self, StoreError> {
        let failed = |source: io::Error| StoreError::Open { path: directory.to_owned(), source };
        let file = tempfile::tempfile_in(directory).map_err(failed)?;
        // O_TMPFILE heeds the umask only.
        file.set_permissions(PermissionsExt::from_mode(0o600)).map_err(failed)?;
        file.set_len(size_bytes).map_err(failed)?;
        let direct = open_direct(&file, directory, page_cache);
        Ok(SparseStore::of(file, direct, size_bytes))
    }

    fn of(file: File, direct: Option<DirectFile>, size_bytes: u64) -> Self {
        SparseStore { file, direct, size_bytes: AtomicU64::new(size_bytes), claims: Claims::default() }
    }

    /// Claims the blocks around a range.
    fn claim(&self, offset: u64, bytes: usize, kind: Use) -> Claim<'_> {
        let blocks = around(offset, bytes as u64);
        self.claims.claim(blocks.start, blocks.end, kind)
    }
}

/// The same file for direct I/O, if that is asked for and possible.
fn open_direct(file: &File, path: &Path, page_cache: PageCache) -> Option<DirectFile> {
    if page_cache == PageCache::Through {
        return None;
    }
    let opened = DirectFile::open(file);
    opened
        .inspect_err(|error| {
            let path = path.display();
            tracing::warn!(
                "no direct I/O on {path} ({error}): its file system cannot; going through the page cache"
            );
        })
        .ok()
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
        let _all = self.claims.claim(0, u64::MAX, Use::Alone);
        self.file.set_len(size_bytes)?;
        self.size_bytes.store(size_bytes, Ordering::Release);
        Ok(())
    }

    fn allocated_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.blocks() * 512)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.direct {
            None => self.file.read_exact_at(buffer, offset),
            Some(direct) if DirectFile::takes(offset, buffer.len()) => direct.read_exact_at(buffer, offset),
            Some(_) => {
                let _claim = self.claim(offset, buffer.len(), Use::Alone);
                self.file.read_exact_at(buffer, offset)
            }
        }
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let kind = if self.direct.is_some() { Use::Alone } else { Use::Shared };
        let _claim = self.claim(offset, data.len(), kind);
        within(self.size_bytes(), offset, data.len() as u64)?;
        match &self.direct {
            Some(direct) if DirectFile::takes(offset, data.len()) => direct.write_all_at(data, offset),
            _ => self.file.write_all_at(data, offset),
        }
    }

    fn punch(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // A last block that the file ends in is freed only where the hole reaches its end.
        let end = offset + bytes;
        let end = if end == self.size_bytes() { end.next_multiple_of(BLOCK as u64) } else { end };
        Ok(rustix::fs::fallocate(&self.file, mode, offset, end - offset)?)
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

    fn in_directory(directory: &Path, size_bytes: u64) -> Result<SparseStore, StoreError> {
        SparseStore::in_directory(directory, "s", size_bytes, PageCache::Through)
    }

    #[test]
    fn contents_outlive_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = in_directory(directory.path(), 8192).unwrap();
        store.write_at(b"kept", 4096).unwrap();
        assert!(matches!(in_directory(directory.path(), 8192), Err(StoreError::Busy(_))));
        drop(store);
        let other = in_directory(directory.path(), 4096);
        assert!(matches!(other, Err(StoreError::OtherSize { found: 8192, asked: 4096, .. })));
        let store = in_directory(directory.path(), 8192).unwrap();
        let mut buffer = [0; 4];
        store.read_at(&mut buffer, 4096).unwrap();
        assert_eq!(&buffer, b"kept");
    }

    #[test]
    fn a_symlink_in_the_store_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("s")).unwrap();
        assert!(matches!(in_directory(directory.path(), 4096), Err(StoreError::Open { .. })));
    }

    #[test]
    fn a_nameless_store_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = SparseStore::nameless(directory.path(), 8192, PageCache::Through).unwrap();
        store.write_at(&[7; 8192], 0).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(store.file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_write_to_what_was_cut_off_does_not_bring_it_back() {
        let store = SparseStore::in_memory("t", 8192).unwrap();
        store.resize(4096).unwrap();
        assert_eq!(store.write_at(&[7; 4096], 4096).unwrap_err().raw_os_error(), Some(28));
        store.resize(8192).unwrap();
        let mut buffer = [1; 4096];
        store.read_at(&mut buffer, 4096).unwrap();
        assert_eq!(buffer, [0; 4096]);
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
    fn names_may_be_as_long_as_file_names() {
        for len in [242, 243, 249, 250, 255] {
            assert!(SparseStore::in_memory(&"n".repeat(len), 4096).is_ok(), "{len}");
            assert!(SparseStore::in_memory(&"\u{e9}".repeat(len / 2), 4096).is_ok(), "{len}");
        }
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
}
