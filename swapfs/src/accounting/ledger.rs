//! The accounts of all files of a mount.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::counters::{Answered, Counters};
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
    path: PathBuf,
    class: FileClass,
    size_bytes: AtomicU64,
    /// A leaf of the lock order: nothing else is locked while it is held.
    counters: Mutex<Counters>,
}

impl Account {
    /// The path under which the file was first opened, from the top of the mount.
    pub fn path(&self) -> &Path {
        &self.path
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

    fn snapshot(&self, total: &mut Counters) -> FileSnapshot {
        let counters = self.counters.lock();
        total.merge(&counters);
        FileSnapshot {
            path: self.path.to_string_lossy().into_owned(),
            class: self.class,
            size_bytes: self.size_bytes.load(Ordering::Relaxed),
            figures: counters.figures(),
        }
    }
}

/// All accounts, by inode. An account is kept for good.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: RwLock<HashMap<Ino, Arc<Account>>>,
}

impl Ledger {
    /// The account of `ino`, opened under `path` if it is new.
    pub fn account(&self, ino: Ino, class: FileClass, path: impl FnOnce() -> PathBuf) -> Arc<Account> {
        if let Some(account) = self.accounts.read().get(&ino) {
            return account.clone();
        }
        let new = || Account { path: path(), class, size_bytes: AtomicU64::new(0), counters: Mutex::default() };
        self.accounts.write().entry(ino).or_insert_with(|| Arc::new(new())).clone()
    }

    /// The figures of all files, sorted by path, and their sum.
    pub fn figures(&self) -> (super::Figures, Vec<FileSnapshot>) {
        let accounts: Vec<Arc<Account>> = self.accounts.read().values().cloned().collect();
        let mut total = Counters::default();
        let mut files: Vec<FileSnapshot> = accounts.iter().map(|account| account.snapshot(&mut total)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        (total.figures(), files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::Outcome;
    use crate::throttle::Direction;

    #[test]
    fn files_are_sorted_and_summed() {
        let ledger = Ledger::default();
        for (n, path) in [(1, "swap/b"), (2, "images/a")] {
            let account = ledger.account(Ino(n), FileClass::Swap, || path.into());
            let outcome = Outcome::Bytes(10);
            account.record(&Answered { direction: Direction::Write, offset: 0, outcome, service_ns: 1, wait_ns: None });
        }
        assert_eq!(ledger.account(Ino(1), FileClass::Swap, || "other".into()).path(), Path::new("swap/b"));
        let (total, files) = ledger.figures();
        assert_eq!(total.write_bytes, 20);
        assert_eq!(files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["images/a", "swap/b"]);
    }
}
