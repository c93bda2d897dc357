//! What is particular to swap files: their size, holes, durability.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::handles::{Body, HandleId};
use super::swap_file::SwapFile;
use super::{Service, handles::CountedFile};
use crate::accounting::{FileClass, FileSnapshot, Occasion};
use crate::filesystem::attr::Attr;
use crate::filesystem::extent::{part_in_file, whole_range};
use crate::filesystem::inode::{ControlFile, InodeTable, Node, SwapIndex};
use crate::filesystem::{FsError, Ino};
use crate::store::{Store, Whence};
use crate::trace::Operation;
use rustix::fs::FallocateFlags;

/// Which attributes a client wants changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAttr {
    /// The size alone.
    Size(u64),
    /// Anything else.
    Other,
}

impl Service {
    /// Changes attributes: the size of swap files, to anything but zero. (An `O_TRUNC` comes as zero;
    /// `dd of=` would lose all that is swapped out to the file, and could then write nothing to it.) For
    /// `.swapfs/command` the size is nothing.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`] for all else of swap files, [`FsError::ReadOnly`] for all other files.
    pub fn setattr(&self, ino: Ino, change: SetAttr) -> Result<super::Entry, FsError> {
        match (self.node(ino)?, change) {
            (Node::SwapFile(index), SetAttr::Size(size)) => {
                let file = self.swap(index)?;
                match size {
                    _ if size == file.store.size_bytes() => {}
                    0 => return Err(FsError::NotPermitted),
                    _ => file.store.resize(size)?,
                }
                self.getattr(ino, None)
            }
            (
                Node::ControlFile(ControlFile::Command | ControlFile::Throttle | ControlFile::Faults),
                SetAttr::Size(_),
            ) => self.getattr(ino, None),
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
        if let Body::Swap(swap) = &file.body {
            swap.store.sync()?;
        }
        file.account.synced();
        let process = self.books.ledger.processes().account(tid, Occasion::Request);
        process.enter(|counters| counters.synced());
        self.note(&file, &process, Operation::Sync);
        Ok(())
    }

    /// Punches holes, zeroes ranges and reserves room, with the mode bits of `fallocate(2)`.
    ///
    /// # Errors
    /// [`FsError::Unsupported`] for other modes, [`FsError::PastEnd`] for a range that is not wholly in the
    /// file.
    pub fn fallocate(
        &self,
        tid: u32,
        handle: HandleId,
        mode: u32,
        offset: u64,
        bytes: u64,
    ) -> Result<(), FsError> {
        let file = self.handles.counted(handle)?;
        let Body::Swap(swap) = &file.body else { return Err(FsError::ReadOnly) };
        let store = &swap.store;
        let keep_size = FallocateFlags::KEEP_SIZE;
        let mode = FallocateFlags::from_bits_retain(mode);
        let keeps_size = mode.contains(keep_size);
        // As on other file systems: with the size kept, what lies past the end is left alone.
        let range = |store: &dyn Store| match keeps_size {
            true => part_in_file(store.size_bytes(), offset, bytes),
            false => whole_range(store.size_bytes(), offset, bytes).map(|()| offset..offset + bytes),
        };
        if mode == FallocateFlags::PUNCH_HOLE | keep_size || mode - keep_size == FallocateFlags::ZERO_RANGE {
            let range = range(&**store)?;
            let (offset, bytes) = (range.start, range.end - range.start);
            if bytes > 0 {
                store.punch(offset, bytes)?;
            }
            file.account.punched(bytes);
            let process = self.books.ledger.processes().account(tid, Occasion::Request);
            process.enter(|counters| counters.punched(bytes));
            self.note(&file, &process, Operation::Punch { offset, bytes });
            return Ok(());
        }
        if (mode - keep_size).is_empty() {
            let range = range(&**store)?;
            if !range.is_empty() {
                store.reserve(range.start, range.end - range.start)?;
            }
            return Ok(());
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
            Body::Swap(swap) => Ok(swap.store.seek(whence, offset)?),
            Body::Image { image } => Ok(image.seek(whence, offset)?),
        }
    }

    /// Notes what each swap file takes.
    pub(super) fn weigh_swaps(&self, files: &mut [FileSnapshot]) {
        let swaps: HashMap<String, Arc<SwapFile>> = self
            .swaps
            .read()
            .named()
            .map(|(_, file)| (format!("swap/{}", file.name), file.clone()))
            .collect();
        // Of several files that had one name in turn, the last one has it now.
        let mut weighed = HashSet::new();
        for file in files.iter_mut().rev().filter(|file| file.class == FileClass::Swap) {
            if let Some(swap) = swaps.get(&file.path).filter(|_| weighed.insert(file.path.clone())) {
                file.allocated_bytes = Some(swap.store.allocated_bytes());
                file.data_bytes = Some(swap.store.data_bytes());
            }
        }
    }

    /// # Errors
    /// [`FsError::NotFound`] if it was removed and nobody has it open.
    pub(super) fn swap(&self, index: SwapIndex) -> Result<Arc<SwapFile>, FsError> {
        self.swaps.read().by_index(index).ok_or(FsError::NotFound)
    }

    pub(super) fn swap_attr(&self, index: SwapIndex) -> Result<Attr, FsError> {
        let (ino, file) = (InodeTable::swap_file(index), self.swap(index)?);
        Ok(Attr {
            permissions: 0o600,
            blocks_512: file.store.allocated_bytes() / 512,
            ..Attr::regular(ino, self.plan.owner, self.started, file.store.size_bytes())
        })
    }
}
