//! What is particular to swap files: their fixed size, holes, durability.

use super::handles::{Body, HandleId};
use super::{Service, handles::CountedFile};
use crate::accounting::Occasion;
use crate::filesystem::attr::Attr;
use crate::filesystem::extent::whole_range;
use crate::filesystem::inode::{InodeTable, Node, SwapIndex};
use crate::filesystem::{FsError, Ino};
use crate::store::{Store, Whence, seek_sparse};
use crate::trace::Operation;
use rustix::fs::FallocateFlags;

/// One `--swap NAME:SIZE`.
#[derive(Debug)]
pub struct SwapFile {
    /// Its name below `swap/`.
    pub name: String,
    /// Where its bytes are.
    pub store: Box<dyn Store>,
}

/// Which attributes a client wants changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAttr {
    /// The size alone.
    Size(u64),
    /// Anything else.
    Other,
}

impl Service {
    /// Changes attributes. Only "changing" a swap file to the size that it has is granted.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`] for swap files, [`FsError::ReadOnly`] for all else.
    pub fn setattr(&self, ino: Ino, change: SetAttr) -> Result<super::Entry, FsError> {
        match (self.node(ino)?, change) {
            (Node::SwapFile(index), SetAttr::Size(size)) if size == self.swap(index).size_bytes() => {
                self.getattr(ino, None)
            }
            (Node::SwapFile(_), _) => Err(FsError::NotPermitted),
            _ => Err(FsError::ReadOnly),
        }
    }

    /// Returns once all that was written to the file lasts.
    ///
    /// # Errors
    /// What the store says.
    pub fn fsync(&self, tid: u32, handle: HandleId) -> Result<(), FsError> {
        let file = self.handles.counted(handle)?;
        if let Body::Swap(index) = file.body {
            self.swap(index).sync()?;
        }
        file.account.synced();
        let process = self.books.ledger.processes().account(tid, Occasion::Request);
        process.enter(|counters| counters.synced());
        self.note(&file, &process, Operation::Sync, (0, 0));
        Ok(())
    }

    /// Punches holes, zeroes ranges and reserves room, with the mode bits of `fallocate(2)`.
    ///
    /// # Errors
    /// [`FsError::Unsupported`] for other modes, [`FsError::PastEnd`] for a range that is not wholly in the file.
    pub fn fallocate(&self, tid: u32, handle: HandleId, mode: u32, offset: u64, bytes: u64) -> Result<(), FsError> {
        let file = self.handles.counted(handle)?;
        let Body::Swap(index) = file.body else { return Err(FsError::ReadOnly) };
        let store = self.swap(index);
        let keep_size = FallocateFlags::KEEP_SIZE;
        let mode = FallocateFlags::from_bits_retain(mode);
        if mode == FallocateFlags::PUNCH_HOLE | keep_size || mode - keep_size == FallocateFlags::ZERO_RANGE {
            whole_range(store.size_bytes(), offset, bytes)?;
            store.punch(offset, bytes)?;
            file.account.punched(bytes);
            let process = self.books.ledger.processes().account(tid, Occasion::Request);
            process.enter(|counters| counters.punched(bytes));
            self.note(&file, &process, Operation::Punch, (offset, bytes));
            return Ok(());
        }
        if (mode - keep_size).is_empty() {
            whole_range(store.size_bytes(), offset, bytes)?;
            return Ok(store.reserve(offset, bytes)?);
        }
        Err(FsError::Unsupported)
    }

    /// The next data or hole of an open file.
    ///
    /// # Errors
    /// `ENXIO` where there is none.
    pub fn seek(&self, handle: HandleId, whence: Whence, offset: u64) -> Result<u64, FsError> {
        let file: &CountedFile = &*self.handles.counted(handle)?;
        match &file.body {
            Body::Swap(index) => Ok(self.swap(*index).seek(whence, offset)?),
            Body::Image { image } => Ok(seek_sparse(&image.file, whence, offset)?),
        }
    }

    /// Sizes for `statfs`: bytes of all swap files, and of those the bytes that take no room yet.
    pub fn space(&self) -> (u64, u64) {
        let stores = || self.plan.swap_files.iter().map(|file| &file.store);
        let total: u64 = stores().map(|store| store.size_bytes()).sum();
        let used: u64 = stores().map(|store| store.allocated_bytes()).sum();
        (total, total.saturating_sub(used))
    }

    pub(super) fn swap(&self, index: SwapIndex) -> &dyn Store {
        &*self.plan.swap_files[index.0].store
    }

    pub(super) fn swap_attr(&self, index: SwapIndex) -> Attr {
        let store = self.swap(index);
        let ino = InodeTable::swap_file(index);
        Attr {
            permissions: 0o600,
            blocks_512: store.allocated_bytes() / 512,
            ..Attr::regular(ino, self.plan.owner, self.started, store.size_bytes())
        }
    }
}
