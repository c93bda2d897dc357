//! The other way of the kernel's requests: over io_uring, by queues that belong to processors (Linux 6.14, if
//! switched on).
//!
//! Connecting, forgetting and interrupting still go over `/dev/fuse`, which fuser reads; all else comes on
//! rings as soon as there is an entry for every queue. A thread for each processor answers the clients that
//! run there, so that none is woken on another one.

mod answer;
mod pool;
mod requests;
mod server;
mod wire;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rustix::thread::CpuSet;

use super::adapter::Adapter;
use crate::sys::rings::Mailbox;
use pool::{Door, Helpers};
use server::Server;

/// What the names of threads with a ring begin with.
pub const THREADS: &str = "swapfs-ring-";

/// By so much a ring's thread is less nice (setpriority(2)) than the daemon's other threads.
const NICER: i32 = 10;

/// Threads with a ring each, which wait for a connection or serve one.
#[derive(Debug)]
pub struct Rings {
    threads: Vec<Thread>,
    /// Dropped after the threads that hand in.
    helpers: Helpers,
}

#[derive(Debug)]
struct Thread {
    mailbox: Arc<Mailbox>,
    /// Gives it the connection.
    start: Sender<OwnedFd>,
    /// Says whether the kernel took its entries.
    started: Receiver<io::Result<()>>,
    handle: JoinHandle<()>,
}

impl Rings {
    /// Makes the threads and all that they need, so that nothing can be missing once the kernel counts on
    /// them: one for each processor, and others up to `threads`, but two at least, for what takes long.
    ///
    /// # Errors
    /// When threads, rings or memory cannot be had.
    pub fn prepare(adapter: &Adapter, threads: usize) -> io::Result<Self> {
        let processors = possible_processors()?;
        let ours = rustix::thread::sched_getaffinity(None)?;
        let homes: Vec<usize> = (0..processors).filter(|processor| ours.is_set(*processor)).collect();
        let helpers = Helpers::start(adapter, threads.saturating_sub(homes.len()).max(2))?;
        let mut rings = Rings { threads: Vec::new(), helpers };
        for (index, home) in homes.iter().enumerate() {
            // Those of processors that are not there, or not ours, are dealt out.
            let foreign =
                (0..processors).filter(|queue| !homes.contains(queue) && queue % homes.len() == index);
            let queues: Vec<usize> = std::iter::once(*home).chain(foreign).collect();
            rings.threads.push(Thread::prepare(adapter.clone(), *home, queues, rings.helpers.door())?);
        }
        Ok(rings)
    }

    /// Has them serve a connection, which the kernel has been told of.
    ///
    /// # Errors
    /// When the kernel does not take entries; it goes on by `/dev/fuse` then.
    pub fn start(&self, mut duplicate: impl FnMut() -> io::Result<OwnedFd>) -> io::Result<()> {
        for thread in &self.threads {
            let ended = |_| io::Error::other("a ring's thread ended");
            thread.start.send(duplicate()?).map_err(|_| io::Error::other("a ring's thread ended"))?;
            thread.started.recv().map_err(ended)??;
        }
        Ok(())
    }
}

impl Rings {
    /// How many threads have one.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }
}

impl Drop for Rings {
    /// Ends the threads and waits for them.
    fn drop(&mut self) {
        self.threads.iter().for_each(|thread| thread.mailbox.stop());
        for Thread { start, handle, .. } in self.threads.drain(..) {
            drop(start);
            let _ = handle.join();
        }
    }
}

impl Thread {
    fn prepare(adapter: Adapter, home: usize, queues: Vec<usize>, door: Door) -> io::Result<Self> {
        let (start, connection) = channel();
        let (say, said) = channel();
        let (tell, started) = channel();
        let name = format!("{THREADS}{home}");
        let handle = std::thread::Builder::new().name(name).spawn(move || {
            let server = match Server::new(adapter, &queues, door) {
                Ok(server) => server,
                Err(error) => return drop(say.send(Err(error))),
            };
            stay_on(home);
            go_first();
            let _ = say.send(Ok(server.mailbox()));
            if let Ok(connection) = connection.recv() {
                server.run(&connection, &tell);
            }
        })?;
        let mailbox = said.recv().map_err(|_| io::Error::other("a ring's thread ended"))??;
        Ok(Thread { mailbox, start, started, handle })
    }
}

/// How many processors there may ever be: the kernel has a queue for each.
fn possible_processors() -> io::Result<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = text.trim().rsplit([',', '-']).next().and_then(|last| last.parse::<usize>().ok());
    last.map(|last| last + 1)
        .ok_or_else(|| io::Error::other("/sys/devices/system/cpu/possible cannot be understood"))
}

/// Lets this thread go before its clients where they fill the processor: it has one share of that, where
/// threads that may run anywhere have several of all, and without it four clients got half as many reads
/// through as by `/dev/fuse` (docs/decisions/transports.md). It does what clients wait for and nothing long,
/// so nobody else waits for more than that. Who may not raise it (root may, and who has RLIMIT_NICE) goes on
/// without.
fn go_first() {
    let raised = rustix::process::getpriority_process(None)
        .and_then(|own| rustix::process::setpriority_process(None, (own - NICER).max(-20)));
    if let Err(error) = raised {
        tracing::info!("a ring's thread has the priority of all others: {error}");
    }
}

fn stay_on(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::info!("a ring's thread is not kept on processor {processor}: {error}");
    }
}
