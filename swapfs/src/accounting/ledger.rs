//! The accounts of all files of a mount, and of all processes that use them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use super::blocks::BLOCK_BYTES;
use super::class::FileClass;
use super::counters::{Answered, Counters};
use super::depth::QueueDepth;
use super::figures::Figures;
use super::heat::Heat;
use super::processes::Processes;
use super::snapshot::FileSnapshot;
use crate::filesystem::Ino;

/// The account of one file.
#[derive(Debug)]
pub struct Account {
    ino: Ino,
    path: PathBuf,
    class: FileClass,
    size_bytes: AtomicU64,
    /// When it was last opened, in openings of any.
    used: AtomicU64,
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

/// How many files have rows of their own where nobody says.
pub const USUAL_FILES: usize = 4096;
/// The row of all others.
pub const OTHERS: &str = "(others)";

/// All accounts, by inode. At most so many are kept as was asked for, and one for each file that is open:
/// those of which least was read and written are then added to one of all others, an eighth at once, so that
/// sums stay true. A file that is opened again after that has a new row, and blocks of it that were seen
/// before count as new ones.
#[derive(Debug)]
pub struct Ledger {
    most_files: usize,
    accounts: RwLock<Accounts>,
    openings: AtomicU64,
    /// How often a file was closed since there were more rows than are kept of files that are closed.
    closings: AtomicUsize,
    /// Files that have no account any more and of which nobody was told. A leaf.
    folded: Mutex<Vec<Ino>>,
    processes: Processes,
    depth: QueueDepth,
}

#[derive(Debug)]
struct Accounts {
    by_ino: HashMap<Ino, Arc<Account>>,
    /// With so many it is tried to fold some.
    fold_at: usize,
    others: Others,
}

/// The sum of files without a row of their own.
#[derive(Debug, Default)]
struct Others {
    counters: Counters,
    files: u64,
    size_bytes: u64,
}

/// The figures of all files.
#[derive(Debug)]
pub struct AllFigures {
    /// Their sum.
    pub total: Figures,
    /// Each, sorted by path, and that of all others.
    pub files: Vec<FileSnapshot>,
    /// How many were added to the others.
    pub folded_files: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger::new(USUAL_FILES)
    }
}

impl Accounts {
    fn new(most_files: usize) -> Self {
        Accounts { by_ino: HashMap::new(), fold_at: most_files, others: Others::default() }
    }

    /// Adds the least used accounts of files that are not open to the others; returns whose. Called where
    /// nobody else can find an account.
    fn fold(&mut self, most_files: usize) -> Vec<Ino> {
        let closed = |account: &&Arc<Account>| Arc::strong_count(account) == 1;
        let rank = |account: &Arc<Account>| {
            let used = account.used.load(Ordering::Relaxed);
            (account.class == FileClass::Swap, account.counters.lock().transfers(), used, account.ino)
        };
        let mut ranked: Vec<_> = self.by_ino.values().filter(closed).map(rank).collect();
        ranked.sort_unstable();
        let many = self.by_ino.len().saturating_sub(most_files - most_files / 8);
        let mut folded = Vec::with_capacity(many.min(ranked.len()));
        for (.., ino) in ranked.into_iter().take(many) {
            if let Some(account) = self.by_ino.remove(&ino) {
                self.others.files += 1;
                self.others.size_bytes += account.size_bytes.load(Ordering::Relaxed);
                self.others.counters.merge(&account.counters.lock());
                folded.push(ino);
            }
        }
        // Not at each opening again where all are open.
        self.fold_at = most_files.max(self.by_ino.len() + most_files / 8);
        folded
    }
}

impl Ledger {
    /// Accounts of at most so many files, at least one, and of those that are open.
    pub fn new(most_files: usize) -> Self {
        let most_files = most_files.max(1);
        Ledger {
            most_files,
            accounts: RwLock::new(Accounts::new(most_files)),
            openings: AtomicU64::new(0),
            closings: AtomicUsize::new(0),
            folded: Mutex::default(),
            processes: Processes::default(),
            depth: QueueDepth::default(),
        }
    }

    /// The account of `ino`, opened under `path` if it is new.
    pub fn account(&self, ino: Ino, class: FileClass, path: impl FnOnce() -> PathBuf) -> Arc<Account> {
        let use_number = self.openings.fetch_add(1, Ordering::Relaxed);
        let known = self.accounts.read().by_ino.get(&ino).cloned();
        let account = known.unwrap_or_else(|| {
            let (size_bytes, used, depth) = (AtomicU64::new(0), AtomicU64::new(0), QueueDepth::default());
            let new = Arc::new(Account {
                ino,
                path: path(),
                class,
                size_bytes,
                used,
                depth,
                counters: Mutex::default(),
            });
            let mut accounts = self.accounts.write();
            if accounts.by_ino.len() >= accounts.fold_at {
                let folded = accounts.fold(self.most_files);
                self.folded.lock().extend(folded);
            }
            accounts.by_ino.entry(ino).or_insert(new).clone()
        });
        account.used.store(use_number, Ordering::Relaxed);
        account
    }

    /// A file was closed that nobody else may have open: its row may be one too many now. It is looked after
    /// for some together.
    pub fn closed(&self) {
        if self.accounts.read().by_ino.len() <= self.most_files {
            return;
        }
        if self.closings.fetch_add(1, Ordering::Relaxed) < self.most_files / 8 {
            return;
        }
        self.closings.store(0, Ordering::Relaxed);
        let folded = self.accounts.write().fold(self.most_files);
        self.folded.lock().extend(folded);
    }

    /// The files that have lost their accounts since this was last asked, and have none again.
    pub fn take_folded(&self) -> Vec<Ino> {
        let mut folded = std::mem::take(&mut *self.folded.lock());
        if !folded.is_empty() {
            let accounts = self.accounts.read();
            folded.retain(|ino| !accounts.by_ino.contains_key(ino));
        }
        folded
    }

    /// How many files have rows of their own at most, besides those that are open.
    pub fn most_files(&self) -> usize {
        self.most_files
    }

    /// The accounts of processes.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// All requests under way.
    pub fn depth(&self) -> &QueueDepth {
        &self.depth
    }

    /// How often each part of the file with this path was touched, if it was ever opened. Of several files
    /// that had the path in turn, the last one.
    pub fn heat(&self, path: &Path, cells: usize) -> Option<Heat> {
        let named = |account: &&Arc<Account>| account.path == path;
        let account =
            self.accounts.read().by_ino.values().filter(named).max_by_key(|account| account.ino).cloned();
        account.map(|account| account.heat(cells))
    }

    /// Forgets all counts. Only files that are open stay listed, with zeros.
    pub fn reset(&self) {
        let mut accounts = self.accounts.write();
        let all = std::mem::replace(&mut *accounts, Accounts::new(self.most_files)).by_ino;
        let (open, closed): (HashMap<_, _>, HashMap<_, _>) =
            all.into_iter().partition(|(_, account)| Arc::strong_count(account) > 1);
        open.values().for_each(|account| account.reset());
        accounts.by_ino = open;
        self.folded.lock().extend(closed.into_keys());
        drop(accounts);
        self.processes.reset();
        self.depth.reset();
    }

    /// The figures of all files.
    pub fn figures(&self) -> AllFigures {
        let accounts = self.accounts.read();
        let Others { counters, files: folded_files, size_bytes } = &accounts.others;
        let (mut total, folded_files) = (counters.clone(), *folded_files);
        let others = FileSnapshot::new(OTHERS.to_owned(), FileClass::Image, *size_bytes, counters.figures());
        let all: Vec<Arc<Account>> = accounts.by_ino.values().cloned().collect();
        drop(accounts);
        let mut files: Vec<FileSnapshot> = all.iter().map(|account| account.snapshot(&mut total)).collect();
        files.extend((folded_files > 0).then_some(others));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        AllFigures {
            total: Figures { queue_depth: self.depth.figures(), ..total.figures() },
            files,
            folded_files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::Order;
    use crate::throttle::{Direction, Nanos, Request};

    fn answered(file: u64, direction: Direction, bytes: u64) -> Answered {
        let request = Request { file: Ino(file), ..Request::sample(direction, 0, bytes, Nanos(0)) };
        Answered { request, order: Order::Sequential, errno: 0, service_ns: 1, wait_ns: None }
    }

    #[test]
    fn files_are_sorted_and_summed() {
        let ledger = Ledger::default();
        for (n, path) in [(1, "swap/b"), (2, "images/a")] {
            let account = ledger.account(Ino(n), FileClass::Swap, || path.into());
            account.record(&answered(n, Direction::Write, 10));
        }
        assert_eq!(ledger.account(Ino(1), FileClass::Swap, || "other".into()).path(), Path::new("swap/b"));
        let AllFigures { total, files, .. } = ledger.figures();
        assert_eq!(total.write_bytes, 20);
        assert_eq!(files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["images/a", "swap/b"]);
    }

    fn read(ledger: &Ledger, ino: u64, times: u64) -> Arc<Account> {
        let account = ledger.account(Ino(ino), FileClass::Image, || format!("images/{ino}").into());
        account.opened(4096);
        (0..times).for_each(|_| account.record(&answered(ino, Direction::Read, 4096)));
        account
    }

    #[test]
    fn the_least_used_are_added_up_and_sums_stay_true() {
        let ledger = Ledger::new(16);
        let open = read(&ledger, 0, 0);
        (1..1000).for_each(|ino| drop(read(&ledger, ino, 1 + u64::from(ino % 100 == 0) * 9)));
        let AllFigures { total, files, folded_files } = ledger.figures();
        assert!(files.len() <= 17 + 1 && files[0].path == OTHERS, "{}", files.len());
        assert_eq!(folded_files as usize + files.len() - 1, 1000);
        assert_eq!((total.read_ops, total.open_ops, total.read_distinct_blocks), (999 + 9 * 9, 1000, 999));
        assert_eq!(files.iter().map(|file| file.figures.read_ops).sum::<u64>(), total.read_ops);
        for kept in ["images/0", "images/100", "images/900"] {
            assert!(files.iter().any(|file| file.path == kept), "{kept}");
        }
        assert_eq!(ledger.take_folded().len() as u64, folded_files);
        open.record(&answered(0, Direction::Read, 1));
        assert_eq!(ledger.figures().total.read_ops, total.read_ops + 1);
        ledger.reset();
        let AllFigures { total, files, folded_files } = ledger.figures();
        assert_eq!(
            (files.len(), files[0].path.as_str(), folded_files, total.open_ops),
            (1, "images/0", 0, 0)
        );
    }

    #[test]
    fn files_that_are_open_are_kept_whatever_the_bound() {
        let ledger = Ledger::new(4);
        let open: Vec<_> = (0..100).map(|ino| read(&ledger, ino, 1)).collect();
        assert_eq!(ledger.figures().files.len(), 100);
        drop(open);
        (100..200).for_each(|ino| drop(read(&ledger, ino, 1)));
        assert!(ledger.figures().files.len() <= 6);
        assert_eq!(ledger.figures().total.read_ops, 200);
    }

    #[test]
    fn files_that_were_open_at_once_leave_no_more_rows_than_the_bound_when_they_are_closed() {
        let ledger = Ledger::new(64);
        let open: Vec<_> = (0..1000).map(|ino| read(&ledger, ino, 1)).collect();
        assert_eq!(ledger.figures().files.len(), 1000);
        for account in open {
            drop(account);
            ledger.closed();
        }
        assert!(ledger.figures().files.len() <= 64 + 8 + 1, "{}", ledger.figures().files.len());
        assert_eq!(ledger.figures().total.read_ops, 1000);
    }
}
