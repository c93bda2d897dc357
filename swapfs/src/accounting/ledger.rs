//! The accounts of all files of a mount, and of all processes that use them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::blocks::BLOCK_BYTES;
use super::counters::{Answered, Counters};
use super::depth::QueueDepth;
use super::figures::Figures;
use super::heat::Heat;
use super::processes::Processes;
use super::snapshot::FileSnapshot;
use crate::filesystem::Ino;

/// Which part of the mount a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileClass {
    /// Below `images/`.
    Image,
    /// Below `swap/`.
    Swap,
}

/// The account of one file.
#[derive(Debug)]
pub struct Account {
    ino: Ino,
    path: PathBuf,
    class: FileClass,
    size_bytes: AtomicU64,
    depth: QueueDepth,
    /// A leaf of the lock order: nothing else is locked while it is held.
    counters: Mutex<Counters>,
}

impl Account {
    /// The path under which the file was first opened, from the top of the mount.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file.
    pub fn ino(&self) -> Ino {
        self.ino
    }

    /// Its requests under way.
    pub fn depth(&self) -> &QueueDepth {
        &self.depth
    }

    /// Counts a request.
    pub fn record(&self, answered: &Answered) {
        self.counters.lock().record(answered);
    }

    /// Counts an open of the file, which then was `size_bytes` large.
    pub fn opened(&self, size_bytes: u64) {
        self.size_bytes.store(size_bytes, Ordering::Relaxed);
        self.counters.lock().opened();
    }

    /// Counts an fsync.
    pub fn synced(&self) {
        self.counters.lock().synced();
    }

    /// Counts a punched hole.
    pub fn punched(&self, bytes: u64) {
        self.counters.lock().punched(bytes);
    }

    /// How often each part of the file was touched, in at most `cells` parts.
    pub fn heat(&self, cells: usize) -> Heat {
        let size_bytes = self.size_bytes.load(Ordering::Relaxed);
        let blocks = size_bytes.div_ceil(BLOCK_BYTES);
        let cells = cells.min(usize::try_from(blocks).unwrap_or(usize::MAX));
        let (reads, writes) = self.counters.lock().heat(self.ino, blocks, cells);
        Heat { path: self.shown_path(), size_bytes, reads, writes }
    }

    fn shown_path(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    fn reset(&self) {
        *self.counters.lock() = Counters::default();
        self.depth.reset();
    }

    fn snapshot(&self, total: &mut Counters) -> FileSnapshot {
        let counters = self.counters.lock();
        total.merge(&counters);
        let figures = Figures { queue_depth: self.depth.figures(), ..counters.figures() };
        FileSnapshot::new(self.shown_path(), self.class, self.size_bytes.load(Ordering::Relaxed), figures)
    }
}

/// All accounts, by inode. An account is kept for good.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: RwLock<HashMap<Ino, Arc<Account>>>,
    processes: Processes,
    depth: QueueDepth,
}

impl Ledger {
    /// The account of `ino`, opened under `path` if it is new.
    pub fn account(&self, ino: Ino, class: FileClass, path: impl FnOnce() -> PathBuf) -> Arc<Account> {
        if let Some(account) = self.accounts.read().get(&ino) {
            return account.clone();
        }
        let (size_bytes, depth) = (AtomicU64::new(0), QueueDepth::default());
        let new = Arc::new(Account { ino, path: path(), class, size_bytes, depth, counters: Mutex::default() });
        self.accounts.write().entry(ino).or_insert(new).clone()
    }

    /// The accounts of processes.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// All requests under way.
    pub fn depth(&self) -> &QueueDepth {
        &self.depth
    }

    /// How often each part of the file with this path was touched, if it was ever opened. Of several files that had the
    /// path in turn, the last one.
    pub fn heat(&self, path: &Path, cells: usize) -> Option<Heat> {
        let named = |account: &&Arc<Account>| account.path == path;
        let account = self.accounts.read().values().filter(named).max_by_key(|account| account.ino).cloned();
        account.map(|account| account.heat(cells))
    }

    /// Forgets all counts. Files stay listed, with zeros.
    pub fn reset(&self) {
        let accounts: Vec<Arc<Account>> = self.accounts.read().values().cloned().collect();
        accounts.iter().for_each(|account| account.reset());
        self.processes.reset();
        self.depth.reset();
    }

    /// The figures of all files, sorted by path, and their sum.
    pub fn figures(&self) -> (Figures, Vec<FileSnapshot>) {
        let accounts: Vec<Arc<Account>> = self.accounts.read().values().cloned().collect();
        let mut total = Counters::default();
        let mut files: Vec<FileSnapshot> = accounts.iter().map(|account| account.snapshot(&mut total)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        (Figures { queue_depth: self.depth.figures(), ..total.figures() }, files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::{Order, Outcome};
    use crate::throttle::Direction;

    #[test]
    fn files_are_sorted_and_summed() {
        let ledger = Ledger::default();
        for (n, path) in [(1, "swap/b"), (2, "images/a")] {
            let account = ledger.account(Ino(n), FileClass::Swap, || path.into());
            let outcome = Outcome::Bytes(10);
            let (ino, direction, order) = (Ino(n), Direction::Write, Order::Sequential);
            account.record(&Answered { ino, direction, offset: 0, order, outcome, service_ns: 1, wait_ns: None });
        }
        assert_eq!(ledger.account(Ino(1), FileClass::Swap, || "other".into()).path(), Path::new("swap/b"));
        let (total, files) = ledger.figures();
        assert_eq!(total.write_bytes, 20);
        assert_eq!(files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["images/a", "swap/b"]);
    }
}
