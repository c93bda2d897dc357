//! Putting a mount at its place and taking it away.
//!
//! fuser is given a connection that we made ourselves, since its own unmounting gives up on a busy mount and
//! may hit another mount at the same place.

mod claim;
mod connect;
mod flag;
mod options;
mod place;
mod stopped;
mod transport;
mod unmount;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fuser::{Config, Session, SessionACL};

pub use crate::mountinfo::FILE_SYSTEM;
pub use crate::service::{Host, Way};
pub use crate::store::{Encryption, PageCache, StoreOptions, StorePlace};
pub use claim::Found;
pub use flag::MountFlag;
pub use options::{Audience, MountError, MountOptions, SwapSpec};
pub use place::{Place, PlaceError, resolve};
pub use stopped::{DaemonState, daemon_of};
pub use transport::{Transport, TransportError, offered};
pub use unmount::{GRACE, Unmounted, unmount};

use crate::clock::Clock;
use crate::filesystem::Owner;
use crate::fuse::Adapter;
use crate::fuse::uring::Rings;
use crate::images::Source;
use crate::mountinfo;
use crate::process::{is_in_call, threads_named};
use crate::service::{Plan, RuleKind, Service, SwapFile};
use crate::store::{Store, StoreError, Stores};
use crate::wake::Wakes;

/// Threads that serve: what their names begin with, and the number of the system call by which they wait for
/// requests.
type Serving = (&'static str, u32);
/// fuser's, in read(2).
const FUSER: Serving = ("fuser-", 0);
/// Those with a ring, in io_uring_enter(2).
const RINGS: Serving = (crate::fuse::uring::THREADS, 426);
/// How long serving threads may take to start.
const LONGEST_START: Duration = Duration::from_secs(5);
/// How long the swap files of a mount that was just taken away may stay locked: its daemon is still ending.
const ENDING: Duration = Duration::from_secs(2);

/// A mount that is in place. Dropping it without serving ends it.
#[derive(Debug)]
pub struct Mounted {
    session: Session<Adapter>,
    threads: usize,
    rings: Option<Rings>,
    place: Place,
    found: Found,
    doubts: Vec<String>,
}

impl Mounted {
    /// Mounts. From here on clients wait for [`Mounted::serve`].
    ///
    /// # Errors
    /// [`MountError`]; nothing is left mounted then.
    pub fn new(options: &MountOptions) -> Result<Self, MountError> {
        let (path, found) = claim::claim(&options.mountpoint)?;
        let clock = Clock::start();
        let plan = plan(options, &path)?;
        let owner = plan.owner;
        let thread_failed = |source| MountError::Connect { path: path.clone(), source, hint: "" };
        let wakes = Arc::new(Wakes::start(options.wake, clock).map_err(&thread_failed)?);
        let service = Service::new(plan, wakes.clone(), clock).map_err(thread_failed)?;
        let told = service.clone();
        let doubts = [service.doubts(RuleKind::Throttle), service.doubts(RuleKind::Faults)].concat();
        let (adapter, rings) =
            transport::prepare(options.transport, Adapter::new(service, wakes, clock), options.threads)?;
        let granted = adapter.granted();
        // With rings, few requests are left for fuser.
        let threads = if rings.is_some() { 1 } else { options.threads };
        let turn = claim::Turn::wait();
        claim::check_free(&path)?;
        let connection = connect::connect(&path, owner, options)?;
        drop(turn);
        let config = session_config(threads);
        let place = Place { id: mountinfo::on_top(&mountinfo::current(), &path).map(|mount| mount.id), path };
        // The kernel checks who may come in (allow_other, default_permissions), so fuser need not.
        let session = match Session::from_fd(adapter, connection, SessionACL::All, config) {
            Ok(session) => session,
            Err(source) => {
                let _ = unmount::take_away(&place);
                return Err(MountError::Handshake { path: place.path, source });
            }
        };
        match transport::start(options.transport, rings, granted.load(Ordering::Relaxed), &session) {
            Ok(rings) => {
                let mounted = Mounted { session, threads, rings, place, found, doubts };
                told.comes(mounted.way());
                Ok(mounted)
            }
            Err(error) => {
                let _ = unmount::take_away(&place);
                Err(error.into())
            }
        }
    }

    /// Which mount this is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What stood at its place before, and was cleared.
    pub fn found(&self) -> Found {
        self.found
    }

    /// Rules that match nothing, a line each.
    pub fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// How its requests come.
    pub fn way(&self) -> Way {
        if self.rings.is_some() { Way::Rings } else { Way::Device }
    }

    /// Serves until the mount is gone. `ready` is called, in a thread of its own, once all threads serve:
    /// nothing is left then that can fail to start.
    ///
    /// # Errors
    /// When the connection to the kernel fails, or a thread cannot be had.
    pub fn serve(self, ready: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let serving = [(FUSER, self.threads), (RINGS, self.rings.as_ref().map_or(0, Rings::threads))];
        std::thread::Builder::new().name("swapfs-ready".into()).spawn(move || {
            wait_for_threads(&serving);
            ready();
        })?;
        let ended = self.session.run();
        // No request can come any more, or nobody would forget what they look up.
        drop(self.rings);
        ended
    }
}

impl Place {
    /// Takes this mount away: plainly where nobody uses it, else lazily.
    ///
    /// # Errors
    /// When neither is allowed.
    pub fn take_away(&self) -> io::Result<Unmounted> {
        unmount::take_away(self)
    }
}

/// How many threads serve where nobody says: three for each processor that we may use, between 4 and 8. One
/// for each could serve as much, but the fewer take turns the more seldom one of them is found on its
/// client's processor (docs/decisions/serving-threads.md).
pub fn usual_threads() -> usize {
    std::thread::available_parallelism().map_or(4, |processors| (3 * processors.get()).clamp(4, 8))
}

/// Waits until so many threads of each kind have waited for a request. Each has its buffers then; if one
/// cannot be had, or they cannot, the process ends. On a mount that is used from the first moment on a thread
/// may never be seen waiting, so this is not for ever.
fn wait_for_threads(serving: &[(Serving, usize)]) {
    let began = Instant::now();
    for ((names, call), count) in serving {
        let mut ready = HashSet::new();
        while ready.len() < *count && began.elapsed() < LONGEST_START {
            ready.extend(threads_named(names).into_iter().filter(|thread| is_in_call(thread, *call)));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn session_config(threads: usize) -> Config {
    let mut config = Config::default();
    config.n_threads = Some(threads);
    config.clone_fd = true;
    config
}

fn plan(options: &MountOptions, mountpoint: &Path) -> Result<Plan, MountError> {
    let sources = Source::open_all(&options.images)?;
    let place = settled(&options.store.place, mountpoint)?;
    let store = Stores::new(StoreOptions { place, ..options.store.clone() });
    let swap_file = |spec: &SwapSpec| -> Result<SwapFile, MountError> {
        Ok(SwapFile { name: spec.name.clone(), store: create_store(&store, spec)? })
    };
    let swap_files = options.swap.iter().map(swap_file).collect::<Result<_, _>>()?;
    Ok(Plan {
        sources,
        swap_files,
        store,
        strictness: options.strictness,
        host: options.host,
        rules: options.rules.clone(),
        faults: options.faults.clone(),
        seed: options.seed,
        owner: Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() },
        mountpoint: mountpoint.to_owned(),
        threads: options.threads,
        stats_files: options.stats_files,
    })
}

/// Makes the store of a swap file. `umount(8)` is back before the daemon has ended, so one that is in use may
/// be free in a moment.
fn create_store(stores: &Stores, spec: &SwapSpec) -> Result<Box<dyn Store>, StoreError> {
    let began = Instant::now();
    loop {
        match stores.create(&spec.name, spec.size_bytes) {
            Err(StoreError::Busy(_)) if began.elapsed() < ENDING => {
                std::thread::sleep(Duration::from_millis(10))
            }
            done => return done,
        }
    }
}

/// The place by its full name, as a daemon leaves its working directory.
fn settled(place: &StorePlace, mountpoint: &Path) -> Result<StorePlace, MountError> {
    let StorePlace::Directory(directory) = place else { return Ok(place.clone()) };
    match directory.canonicalize() {
        Ok(real) if real.starts_with(mountpoint) => Err(MountError::StoreInside(directory.clone())),
        Ok(real) => Ok(StorePlace::Directory(real)),
        // Making the first file in it will say what is wrong.
        Err(_) => Ok(place.clone()),
    }
}
