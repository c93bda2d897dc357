//! What is open.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::entry::DirectoryEntry;
use super::swap_file::SwapFile;
use crate::accounting::{Account, Order, ProcessAccount};
use crate::filesystem::FsError;
use crate::gate::KnownRule;
use crate::images::OpenImage;
use crate::throttle::Direction;
use crate::trace::Ring;

/// Names an open file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandleId(pub u64);

/// An open file whose transfers are counted.
#[derive(Debug)]
pub(super) struct CountedFile {
    pub(super) body: Body,
    pub(super) account: Arc<Account>,
    pub(super) known: Arc<KnownRule>,
    /// Who opened it.
    pub(super) opener: Arc<ProcessAccount>,
    pub(super) ends: Ends,
}

/// Where the last read and the last write ended.
#[derive(Debug, Default)]
pub(super) struct Ends {
    read: AtomicU64,
    write: AtomicU64,
}

impl Ends {
    /// Where a request for `bytes` at `offset` stands to the one before it.
    pub(super) fn order(&self, direction: Direction, offset: u64, bytes: u64) -> Order {
        let end = match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        };
        match end.swap(offset.saturating_add(bytes), Ordering::Relaxed) == offset {
            true => Order::Sequential,
            false => Order::Random,
        }
    }
}

#[derive(Debug)]
pub(super) enum Body {
    Image { image: OpenImage },
    Swap(Arc<SwapFile>),
}

#[derive(Debug, Clone)]
pub(super) enum Handle {
    Counted(Arc<CountedFile>),
    /// A file below `.swapfs`: its text as of its opening.
    Text(Arc<Vec<u8>>),
    /// `.swapfs/trace`: what happens from its opening on.
    Trace(Arc<Ring>),
    /// `.swapfs/command`: the answer to the last command.
    Command(Arc<RwLock<String>>),
    /// `.swapfs/throttle`: the rules as of its opening, or why the last ones written were refused.
    Rules(Arc<RwLock<String>>),
    /// `.swapfs/faults`: the same for fault rules.
    Faults(Arc<RwLock<String>>),
    /// A directory: its entries as of its opening, so that offsets stay good.
    Directory(Arc<Vec<DirectoryEntry>>),
}

#[derive(Debug, Default)]
pub(super) struct Handles {
    open: RwLock<HashMap<HandleId, Handle>>,
    given: AtomicU64,
}

impl Handles {
    pub(super) fn insert(&self, handle: Handle) -> HandleId {
        let id = HandleId(self.given.fetch_add(1, Ordering::Relaxed) + 1);
        self.open.write().insert(id, handle);
        id
    }

    pub(super) fn remove(&self, id: HandleId) -> Option<Handle> {
        self.open.write().remove(&id)
    }

    pub(super) fn find(&self, id: HandleId) -> Result<Handle, FsError> {
        self.open.read().get(&id).cloned().ok_or(FsError::BadHandle)
    }

    pub(super) fn counted(&self, id: HandleId) -> Result<Arc<CountedFile>, FsError> {
        match self.find(id)? {
            Handle::Counted(file) => Ok(file),
            _ => Err(FsError::BadHandle),
        }
    }

    pub(super) fn counted_files(&self) -> usize {
        self.open.read().values().filter(|handle| matches!(handle, Handle::Counted(_))).count()
    }
}
