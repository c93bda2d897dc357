//! The accounts of the processes that use a mount.
//!
//! A request comes with the number of a thread. Which process that is, and what it is called, is read from
//! `/proc`: at a thread's first request, and again at its 1st, 2nd, 4th, 8th, ... after each open, since a
//! program gets its new name in the midst of `execve`, when its file is open already; and at the open itself,
//! if it was not looked up just before. Nothing is locked meanwhile. Of a process's first thread that is one
//! call: the file with its name is held open, and cannot be read any more once the process is gone.
//!
//! At most [`MOST`] processes are kept; the one that is idle for longest is then added to one account of all
//! earlier ones, with pid 0, so that sums stay true.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::counters::{Answered, Counters};
use super::depth::QueueDepth;
use super::figures::Figures;
use super::names::{NameTag, Names};
use crate::throttle::Nanos;

/// How many processes have accounts of their own.
pub const MOST: usize = 512;
/// How many threads are remembered before all are looked up again.
const MOST_THREADS: usize = 16_384;
/// For how long a thread that opens file after file is believed to be what it was.
const BELIEVED: Nanos = Nanos(5_000_000);
/// A name has at most 15 bytes (TASK_COMM_LEN), and a line break here; those of kernel threads may be longer.
const LONGEST_NAME: usize = 80;
/// Name of the account of all earlier processes.
const EARLIER: &str = "(earlier)";
/// Name of what the kernel does for nobody in particular, and of processes that we cannot see.
const KERNEL: &str = "(kernel)";

/// The counts of one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSnapshot {
    /// Its number; 0 for the sum of all earlier ones, and for the kernel's own requests.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Its counts. Blocks of different files are different blocks.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The account of one process.
#[derive(Debug)]
pub struct ProcessAccount {
    pid: u32,
    start: u64,
    tag: NameTag,
    /// `/proc/PID/comm`; none where it could not be opened, or the process is none.
    name_file: Option<File>,
    /// When it was last used, in uses of any.
    used: AtomicU64,
    depth: QueueDepth,
    entries: Mutex<Entries>,
}

#[derive(Debug)]
enum Entries {
    Own(Box<Counters>),
    /// It was added to another account.
    At(Arc<ProcessAccount>),
}

/// What a request is, as far as it matters for finding its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The opening of a file, at this time.
    Open(Nanos),
    /// Any other.
    Request,
}

/// Which process a thread belongs to. A number that is given again comes with another time of its start.
#[derive(Debug)]
struct Identity {
    pid: u32,
    start: u64,
    comm: String,
    name_file: Option<File>,
}

#[derive(Debug)]
struct Thread {
    account: Arc<ProcessAccount>,
    requests_since_open: u32,
    /// When it was last looked up at an open.
    looked: Nanos,
}

#[derive(Debug, Default)]
struct Known {
    threads: HashMap<u32, Thread>,
    processes: HashMap<(u32, u64), Arc<ProcessAccount>>,
    earlier: Option<Arc<ProcessAccount>>,
}

/// All processes that used a mount.
#[derive(Debug, Default)]
pub struct Processes {
    known: Mutex<Known>,
    uses: AtomicU64,
}

impl ProcessAccount {
    fn new(Identity { pid, start, comm, name_file }: Identity) -> Arc<Self> {
        Arc::new(ProcessAccount {
            pid,
            start,
            tag: NameTag::new(pid, &comm),
            name_file,
            used: AtomicU64::new(0),
            depth: QueueDepth::default(),
            entries: Mutex::new(Entries::Own(Box::new(Counters::of_process()))),
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its name, as last seen.
    pub fn comm(&self) -> String {
        self.names().comm().to_owned()
    }

    /// Its names, as last seen.
    pub fn names(&self) -> Names {
        self.tag.names()
    }

    /// Reads its control groups where they are not known.
    pub fn learn_cgroups(&self) {
        self.tag.learn_cgroups();
    }

    /// Reads its name again. False where the process is gone, or its name cannot be read in this short way.
    fn look_again(&self) -> bool {
        let mut buffer = [0; LONGEST_NAME];
        let read = self.name_file.as_ref().and_then(|file| file.read_at(&mut buffer, 0).ok());
        let Some(name) = read.and_then(|bytes| buffer[..bytes].strip_suffix(b"\n")) else { return false };
        self.tag.rename(&String::from_utf8_lossy(name));
        true
    }

    /// Its requests under way.
    pub fn depth(&self) -> &QueueDepth {
        &self.depth
    }

    /// Counts a request.
    pub fn record(&self, answered: &Answered) {
        self.enter(|counters| counters.record(answered));
    }

    /// Counts anything.
    pub fn enter(&self, write: impl FnOnce(&mut Counters)) {
        let moved_to = match &mut *self.entries.lock() {
            Entries::Own(counters) => return write(counters),
            Entries::At(other) => other.clone(),
        };
        // The account of earlier processes is never moved.
        moved_to.enter(write);
    }

    fn move_to(&self, other: &Arc<ProcessAccount>) {
        let old = std::mem::replace(&mut *self.entries.lock(), Entries::At(other.clone()));
        if let Entries::Own(counters) = old {
            other.enter(|all| all.merge(&counters));
        }
    }

    fn snapshot(&self) -> Option<ProcessSnapshot> {
        let mut figures = match &*self.entries.lock() {
            Entries::Own(counters) => counters.figures(),
            Entries::At(_) => return None,
        };
        figures.queue_depth = self.depth.figures();
        (!figures.is_idle()).then(|| ProcessSnapshot { pid: self.pid, comm: self.comm(), figures })
    }
}

impl Processes {
    /// The account of the process that the thread `tid` belongs to.
    pub fn account(&self, tid: u32, occasion: Occasion) -> Arc<ProcessAccount> {
        self.account_as(tid, occasion, identify)
    }

    fn account_as(
        &self,
        tid: u32,
        occasion: Occasion,
        identify: impl FnOnce(u32, Option<(u32, u64)>) -> Option<Identity>,
    ) -> Arc<ProcessAccount> {
        let use_number = self.uses.fetch_add(1, Ordering::Relaxed);
        let remembered = self.known.lock().recall(tid, occasion);
        let account = match remembered {
            Recalled::Sure(account) => account,
            Recalled::LookAgain(Some(old)) if old.pid == tid && old.look_again() => {
                self.known.lock().looked(tid, occasion);
                old
            }
            Recalled::LookAgain(old) => {
                match (identify(tid, old.as_ref().map(|old| (old.pid, old.start))), old) {
                    (None, Some(gone)) => gone,
                    (found, _) => {
                        let unseen =
                            || Identity { pid: tid, start: 0, comm: KERNEL.to_owned(), name_file: None };
                        self.known.lock().learn(tid, occasion, found.unwrap_or_else(unseen))
                    }
                }
            }
        };
        account.used.store(use_number, Ordering::Relaxed);
        account
    }

    /// All accounts.
    pub fn all(&self) -> Vec<Arc<ProcessAccount>> {
        let known = self.known.lock();
        known.processes.values().chain(&known.earlier).cloned().collect()
    }

    /// The counts of each process that has any, by pid.
    pub fn snapshot(&self) -> Vec<ProcessSnapshot> {
        let mut all: Vec<_> = self.all().iter().filter_map(|account| account.snapshot()).collect();
        all.sort_by(|a, b| (a.pid, &a.comm).cmp(&(b.pid, &b.comm)));
        all
    }

    /// Forgets all counts, and the processes too: who goes on is found again.
    pub fn reset(&self) {
        let old = std::mem::take(&mut *self.known.lock());
        drop(old);
    }
}

enum Recalled {
    Sure(Arc<ProcessAccount>),
    LookAgain(Option<Arc<ProcessAccount>>),
}

impl Known {
    fn recall(&mut self, tid: u32, occasion: Occasion) -> Recalled {
        let Some(thread) = self.threads.get_mut(&tid) else { return Recalled::LookAgain(None) };
        match occasion {
            Occasion::Open(now) => {
                thread.requests_since_open = 0;
                if now.before(thread.looked) < BELIEVED {
                    return Recalled::Sure(thread.account.clone());
                }
            }
            Occasion::Request => thread.requests_since_open = thread.requests_since_open.saturating_add(1),
        }
        let account = thread.account.clone();
        match thread.requests_since_open {
            0 => Recalled::LookAgain(Some(account)),
            n if n.is_power_of_two() => Recalled::LookAgain(Some(account)),
            _ => Recalled::Sure(account),
        }
    }

    /// A thread was looked up and is what it was.
    fn looked(&mut self, tid: u32, occasion: Occasion) {
        if let (Some(thread), Occasion::Open(now)) = (self.threads.get_mut(&tid), occasion) {
            thread.looked = now;
        }
    }

    fn learn(&mut self, tid: u32, occasion: Occasion, identity: Identity) -> Arc<ProcessAccount> {
        let key = (identity.pid, identity.start);
        if !self.processes.contains_key(&key) && self.processes.len() >= MOST {
            self.retire_one();
        }
        let account = match self.processes.entry(key) {
            Entry::Occupied(known) => {
                known.get().tag.rename(&identity.comm);
                known.get().clone()
            }
            Entry::Vacant(place) => place.insert(ProcessAccount::new(identity)).clone(),
        };
        if self.threads.len() >= MOST_THREADS {
            self.threads.clear();
        }
        let new = || Thread { account: account.clone(), requests_since_open: 0, looked: Nanos(0) };
        self.threads.entry(tid).or_insert_with(new).account = account.clone();
        self.looked(tid, occasion);
        account
    }

    fn retire_one(&mut self) {
        let oldest = self.processes.iter().min_by_key(|(_, account)| account.used.load(Ordering::Relaxed));
        let Some(key) = oldest.map(|(key, _)| *key) else { return };
        let Some(account) = self.processes.remove(&key) else { return };
        let earlier = self.earlier.get_or_insert_with(|| {
            ProcessAccount::new(Identity { pid: 0, start: 0, comm: EARLIER.to_owned(), name_file: None })
        });
        account.move_to(earlier);
        self.threads.retain(|_, thread| !Arc::ptr_eq(&thread.account, &account));
    }
}

/// Reads `/proc`; neither file needs a lock that a thread which waits for us could hold. `before` is the
/// process, and its start, that the thread belonged to last: where it was that process's first thread, one
/// file is enough to see that it still is.
fn identify(tid: u32, before: Option<(u32, u64)>) -> Option<Identity> {
    if tid == 0 {
        return None;
    }
    if let Some((pid, start)) = before
        && pid == tid
        && let Some(same) = stat_of(pid).filter(|found| found.start == start)
    {
        return Some(same);
    }
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let pid = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
    stat_of(pid)
}

fn stat_of(pid: u32) -> Option<Identity> {
    // Opened first: if the number is given to another process in between, this is of the one that is gone,
    // and cannot be read.
    let name_file = File::open(format!("/proc/{pid}/comm")).ok();
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let identity = parse_stat(pid, &String::from_utf8_lossy(&stat))?;
    Some(Identity { name_file, ..identity })
}

/// The name stands in the first and last parentheses; the start is the 22nd field.
fn parse_stat(pid: u32, stat: &str) -> Option<Identity> {
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    let start = stat.get(close + 1..)?.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(Identity { pid, start, comm: stat.get(open + 1..close)?.to_owned(), name_file: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::Order;
    use crate::throttle::{Direction, Request};

    fn read() -> Answered {
        let request = Request::sample(Direction::Read, 0, 4096, Nanos(0));
        Answered { request, order: Order::Random, errno: 0, service_ns: 1, wait_ns: None }
    }

    fn called(comm: &str) -> impl FnOnce(u32, Option<(u32, u64)>) -> Option<Identity> {
        |tid, _| Some(Identity { pid: tid / 10 * 10, start: 5, comm: comm.to_owned(), name_file: None })
    }

    #[test]
    fn threads_of_a_process_have_one_account() {
        let processes = Processes::default();
        for tid in [20, 21, 22] {
            processes.account_as(tid, Occasion::Request, called("a")).record(&read());
        }
        let all = processes.snapshot();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].pid, all[0].comm.as_str(), all[0].figures.read_ops), (20, "a", 3));
        assert_eq!((all[0].figures.read_distinct_blocks, all[0].figures.read_repeat_blocks), (1, 2));
        processes.reset();
        assert!(processes.snapshot().is_empty());
    }

    #[test]
    fn a_new_name_is_found_soon_after_an_open() {
        let processes = Processes::default();
        for _ in 0..100 {
            processes.account_as(30, Occasion::Request, called("shell")).record(&read());
        }
        processes.account_as(30, Occasion::Open(Nanos(1 << 40)), called("shell"));
        processes.account_as(30, Occasion::Request, called("program"));
        assert_eq!(processes.snapshot()[0].comm, "program");
        let gone = processes.account_as(30, Occasion::Request, |_, _| None);
        assert_eq!(gone.comm(), "program");
    }

    #[test]
    fn open_after_open_is_believed_for_a_while_but_the_next_request_is_not() {
        let processes = Processes::default();
        let at = |ms: u64| Occasion::Open(Nanos(1 << 40).after(Nanos(ms * 1_000_000)));
        processes.account_as(30, at(0), called("shell"));
        processes.account_as(30, at(4), |_, _| unreachable!("it was just looked up"));
        processes.account_as(30, Occasion::Request, called("program")).record(&read());
        assert_eq!(processes.snapshot()[0].comm, "program");
        processes.account_as(30, at(6), called("other"));
        assert_eq!(processes.snapshot()[0].comm, "other");
    }

    #[test]
    fn counts_of_retired_processes_are_kept_in_one_sum() {
        let processes = Processes::default();
        let first = processes.account_as(10, Occasion::Request, called("first"));
        for tid in 2..MOST as u32 + 50 {
            processes.account_as(tid * 10, Occasion::Request, called("x")).record(&read());
        }
        first.record(&read());
        let all = processes.snapshot();
        assert_eq!(all.len(), MOST + 1);
        assert_eq!((all[0].pid, all[0].comm.as_str()), (0, EARLIER));
        assert_eq!(all.iter().map(|process| process.figures.read_ops).sum::<u64>(), MOST as u64 + 49);
    }

    #[test]
    fn we_are_found_by_any_of_our_threads() {
        let tid = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        let ours = identify(tid, None).unwrap();
        assert_eq!(ours.pid, std::process::id());
        let again = |tid: u32, pid: u32, start: u64| {
            identify(tid, Some((pid, start))).map(|found| (found.pid, found.start, found.comm))
        };
        let expected = Some((ours.pid, ours.start, ours.comm.clone()));
        assert_eq!(again(tid, ours.pid, ours.start), expected);
        assert_eq!(again(ours.pid, ours.pid, ours.start), expected);
        assert_eq!(again(ours.pid, ours.pid, ours.start + 1), expected);
        assert_eq!(again(1, ours.pid, ours.start).unwrap().0, 1);
        assert!(parse_stat(7, "7 (a) b) S 1 2 3").is_none());
    }

    #[test]
    fn a_process_that_lives_is_looked_at_by_its_name_alone_and_one_that_is_gone_anew() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (processes, pid) = (Processes::default(), child.id());
        let first = processes.account(pid, Occasion::Request);
        let short = processes.account_as(pid, Occasion::Request, |_, _| unreachable!("its name can be read"));
        assert!(Arc::ptr_eq(&first, &short));
        child.kill().unwrap();
        child.wait().unwrap();
        let at = Occasion::Open(Nanos(1 << 40));
        let other = |tid, _| Some(Identity { pid: tid, start: 1, comm: "other".to_owned(), name_file: None });
        assert_eq!(processes.account_as(pid, at, other).comm(), "other");
    }
}
