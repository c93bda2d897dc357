//! Threads that serve what takes long, so that it holds up nobody else's requests to the same processor.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::answer::answer;
use crate::fuse::adapter::Adapter;
use crate::sys::entry::Entry;
use crate::sys::rings::Mailbox;
use crate::throttle::Nanos;

/// A request that takes longer than this waits for something, or computes much.
const LONG: Nanos = Nanos(200_000);
/// So many requests after such a one are served by helpers.
const SUSPECTED: u32 = 32;

/// How many of a ring's next requests may take long, too.
#[derive(Debug, Default)]
pub(super) struct Strain(AtomicU32);

impl Strain {
    /// A request took so long.
    pub(super) fn took(&self, time: Nanos) {
        if time > LONG {
            self.0.store(SUSPECTED, Ordering::Relaxed);
        }
    }

    /// Whether the next request is one of those.
    pub(super) fn is_next_suspected(&self) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left > 0 {
            self.0.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }
}

/// A request, and where its answer goes.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) request: Entry,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) strain: Arc<Strain>,
}

/// The threads. They end when it is dropped, after what they are at.
#[derive(Debug)]
pub(super) struct Helpers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// A leaf of the lock order.
    tasks: Mutex<Tasks>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Tasks {
    waiting: VecDeque<Task>,
    closed: bool,
}

/// Takes tasks for the helpers.
#[derive(Debug, Clone)]
pub(super) struct Door(Arc<Shared>);

impl Door {
    pub(super) fn hand_in(&self, task: Task) {
        self.0.tasks.lock().waiting.push_back(task);
        self.0.changed.notify_one();
    }
}

impl Helpers {
    pub(super) fn start(adapter: &Adapter, count: usize) -> io::Result<Self> {
        let mut helpers = Helpers { shared: Arc::default(), threads: Vec::new() };
        for number in 0..count {
            let (adapter, shared) = (adapter.clone(), helpers.shared.clone());
            let builder = std::thread::Builder::new().name(format!("swapfs-help-{number}"));
            helpers.threads.push(builder.spawn(move || shared.run(&adapter))?);
        }
        Ok(helpers)
    }

    pub(super) fn door(&self) -> Door {
        Door(self.shared.clone())
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.shared.tasks.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn next(&self) -> Option<Task> {
        let mut tasks = self.tasks.lock();
        loop {
            if tasks.closed {
                return None;
            }
            match tasks.waiting.pop_front() {
                Some(task) => return Some(task),
                None => self.changed.wait(&mut tasks),
            }
        }
    }

    fn run(&self, adapter: &Adapter) {
        while let Some(Task { request, mailbox, strain }) = self.next() {
            let began = adapter.clock.now();
            let answered = answer(adapter, request, &mailbox);
            strain.took(adapter.clock.now().before(began));
            if let Some(answered) = answered {
                mailbox.post(answered);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_request_makes_the_next_ones_suspected_and_short_ones_clear_them() {
        let strain = Strain::default();
        strain.took(Nanos(LONG.0));
        assert!(!strain.is_next_suspected());
        strain.took(Nanos(LONG.0 + 1));
        assert!((0..SUSPECTED).all(|_| strain.is_next_suspected()));
        assert!(!strain.is_next_suspected());
    }
}
