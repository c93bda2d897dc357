//! The mount without FUSE: namespace -> file -> throttle -> store, counted on the way.
//!
//! Owns the inode table, the open files, the accounts and the gate with the throttle's state. Knows neither
//! FUSE's types nor how an answer is sent: a transfer says whether it has to wait, and the adapter leaves its
//! answer here.
//!
//! Locks: the inode table, the swap files, the handles, the gate and the ledger have one each; no two are
//! held at once, and none during I/O. (The ledger's map and one account's counters are taken one after the
//! other, but for folding and resetting, where nobody else has the account; the gate reads a process's name.)

mod answers;
mod attributes;
mod commands;
mod doubts;
mod entry;
mod handles;
mod host;
mod names;
mod open;
mod rules;
mod swap_file;
mod swap_files;
mod swap_names;
mod swap_table;
mod text_sizes;
mod texts;
mod transfer;
mod wants;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};

pub use doubts::RuleKind;
pub use entry::{DirectoryEntry, Entry};
pub use handles::HandleId;
pub use host::{Host, Way};
pub use open::{Access, Opened};
pub use swap_file::SwapFile;
pub use swap_files::SetAttr;
pub use swap_names::is_swap_name;
pub use transfer::Transfer;

use crate::accounting::blocks::BLOCK_BYTES;
use crate::accounting::{AllFigures, Ledger, Snapshot, VERSION};
use crate::clock::Clock;
use crate::faults::{FaultRule, Faults};
use crate::filesystem::caching::Strictness;
use crate::filesystem::inode::{InodeTable, Node, SourceIndex};
use crate::filesystem::{FsError, Ino, Owner};
use crate::gate::{Gate, Job};
use crate::images::{Source, Tree};
use crate::store::Stores;
use crate::throttle::{Rule, Throttle, Ticket};
use crate::trace::Tracers;
use crate::wake::Wakes;
use handles::Handles;
use swap_table::SwapTable;
use text_sizes::TextSizes;
use wants::Wants;

/// What a mount serves and how.
#[derive(Debug)]
pub struct Plan {
    /// The sources of images.
    pub sources: Vec<Source>,
    /// The swap files to begin with.
    pub swap_files: Vec<SwapFile>,
    /// Where more of them are kept.
    pub store: Stores,
    /// What is counted.
    pub strictness: Strictness,
    /// Whose process serves.
    pub host: Host,
    /// What is held back.
    pub rules: Vec<Rule>,
    /// What fails on purpose.
    pub faults: Vec<FaultRule>,
    /// What all that is random follows from.
    pub seed: u64,
    /// Who owns our own directories and the swap files.
    pub owner: Owner,
    /// The mount point, for statistics.
    pub mountpoint: std::path::PathBuf,
    /// The number of serving threads, for statistics.
    pub threads: usize,
    /// How many files have counts of their own, besides those that are open.
    pub stats_files: usize,
}

/// Where requests are written down.
#[derive(Debug)]
struct Books {
    ledger: Ledger,
    tracers: Tracers,
}

/// A mount's state.
#[derive(Debug)]
pub struct Service {
    plan: Plan,
    clock: Clock,
    started: SystemTime,
    /// When counting began, since 1970.
    counted_since_ns: AtomicU64,
    inodes: Mutex<InodeTable>,
    swaps: RwLock<SwapTable>,
    handles: Handles,
    books: Arc<Books>,
    gate: Gate,
    faults: Mutex<Faults>,
    throttle_wants: Wants,
    fault_wants: Wants,
    text_sizes: TextSizes,
    /// Set once, when the mount is there.
    way: OnceLock<Way>,
}

impl Service {
    /// The state of a mount at its beginning.
    ///
    /// # Errors
    /// When the gate's thread cannot be had.
    pub fn new(mut plan: Plan, wakes: Arc<Wakes>, clock: Clock) -> io::Result<Arc<Self>> {
        let started = SystemTime::now();
        let faults = std::mem::take(&mut plan.faults);
        Ok(Arc::new(Service {
            clock,
            started,
            counted_since_ns: AtomicU64::new(since_1970_ns(started)),
            inodes: Mutex::default(),
            swaps: RwLock::new(SwapTable::new(std::mem::take(&mut plan.swap_files))),
            handles: Handles::default(),
            books: Arc::new(Books { ledger: Ledger::new(plan.stats_files), tracers: Tracers::default() }),
            gate: Gate::start(clock, wakes, Throttle::new(&plan.rules, plan.seed))?,
            throttle_wants: Wants::new(plan.rules.iter().map(|rule| &rule.selector)),
            fault_wants: Wants::new(faults.iter().map(|rule| &rule.selector)),
            faults: Mutex::new(Faults::new(faults, plan.seed)),
            text_sizes: TextSizes::default(),
            way: OnceLock::new(),
            plan,
        }))
    }

    /// Says how requests come, for statistics.
    pub fn comes(&self, way: Way) {
        let _ = self.way.set(way);
    }

    /// What is counted.
    pub fn strictness(&self) -> Strictness {
        self.plan.strictness
    }

    /// Leaves the answer of a request that waits, to be sent when its time comes.
    pub fn leave(&self, ticket: Ticket, answer: Job) {
        self.gate.leave(ticket, answer);
    }

    /// All counts, now.
    pub fn snapshot(&self) -> Snapshot {
        let AllFigures { total, mut files, folded_files } = self.books.ledger.figures();
        self.weigh_swaps(&mut files);
        Snapshot {
            version: VERSION,
            pid: std::process::id(),
            mountpoint: self.plan.mountpoint.to_string_lossy().into_owned(),
            started_unix_ns: since_1970_ns(self.started),
            strict: self.plan.strictness == Strictness::EveryRead,
            counted_reads: self.plan.strictness.counted_reads().to_owned(),
            threads: self.plan.threads as u64,
            requests_come: self.way.get().map_or_else(String::new, Way::to_string),
            block_bytes: BLOCK_BYTES,
            waiting_requests: self.gate.len() as u64,
            ends_on_sigterm: self.plan.host == Host::Daemon,
            open_files: self.handles.counted_files() as u64,
            stats_files: self.books.ledger.most_files() as u64,
            folded_files,
            total,
            files,
            faults: self.faults.lock().counts(),
            processes: self.books.ledger.processes().snapshot(),
            counted_since_unix_ns: self.counted_since_ns.load(Ordering::Relaxed),
        }
    }

    fn node(&self, ino: Ino) -> Result<Node, FsError> {
        self.inodes.lock().node(ino).ok_or(FsError::NotFound)
    }

    /// The files of a source.
    fn tree(&self, source: SourceIndex) -> &dyn Tree {
        self.plan.sources[source.0].tree()
    }
}

fn since_1970_ns(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
