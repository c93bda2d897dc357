//! Answers that are due later. One thread keeps them all in a heap by deadline, so a waiting request costs its answer's
//! bytes and nothing else: no serving thread waits for it.
//!
//! Oversleeping: the thread's timer slack is 1 ns, it asks to be woken a little before a deadline and spins for the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;
use crate::throttle::Nanos;

/// About what a wake-up takes here; spinning for it costs less than it looks, as it is mostly spent waking.
const EARLY: Duration = Duration::from_micros(25);

/// Sends one answer.
pub type Job = Box<dyn FnOnce() + Send>;

/// The answers that wait for their deadline.
#[derive(Debug)]
pub struct DelayQueue {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    clock: Clock,
    /// A leaf of the lock order; jobs run without it.
    waiting: Mutex<Waiting>,
    changed: Condvar,
    len: AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("len", &self.len).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Waiting {
    heap: BinaryHeap<Reverse<Due>>,
    /// How many were ever queued: equal deadlines keep their order.
    queued: u64,
    closed: bool,
}

struct Due {
    at: Nanos,
    order: u64,
    job: Job,
}

impl DelayQueue {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(clock: Clock) -> std::io::Result<Self> {
        let (waiting, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { clock, waiting, changed, len: AtomicUsize::new(0) });
        let worker = shared.clone();
        let thread = std::thread::Builder::new().name("swapfs-delay".into()).spawn(move || worker.run())?;
        Ok(DelayQueue { shared, thread: Some(thread) })
    }

    /// Runs `job` at `at`, or as soon after as it can.
    pub fn push(&self, at: Nanos, job: Job) {
        self.shared.len.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.shared.waiting.lock();
        let order = waiting.queued;
        waiting.queued += 1;
        let is_first = waiting.heap.peek().is_none_or(|Reverse(first)| at < first.at);
        waiting.heap.push(Reverse(Due { at, order, job }));
        drop(waiting);
        if is_first {
            self.shared.changed.notify_one();
        }
    }

    /// How many answers wait.
    pub fn len(&self) -> usize {
        self.shared.len.load(Ordering::Relaxed)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for DelayQueue {
    /// Drops what still waits: the kernel answers those clients with an error.
    fn drop(&mut self) {
        self.shared.waiting.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        if let Err(error) = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)) {
            tracing::warn!("timer slack stays at its default, waits will be up to 0.1 ms too long: {error}");
        }
        while let Some(due) = self.next() {
            while !self.clock.until(due.at).is_zero() {
                std::hint::spin_loop();
            }
            // Before the job, so that a client that has its answer finds it gone from the count.
            self.len.fetch_sub(1, Ordering::Relaxed);
            (due.job)();
        }
    }

    /// Waits for the first deadline to come near; `None` once closed.
    fn next(&self) -> Option<Due> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.closed {
                return None;
            }
            match waiting.heap.peek().map(|Reverse(first)| self.clock.until(first.at)) {
                None => self.changed.wait(&mut waiting),
                Some(left) if left > EARLY => {
                    self.changed.wait_for(&mut waiting, left - EARLY);
                }
                Some(_) => return waiting.heap.pop().map(|Reverse(due)| due),
            }
        }
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn answers_come_by_deadline_and_never_early() {
        let clock = Clock::start();
        let queue = DelayQueue::start(clock).unwrap();
        let (sender, receiver) = mpsc::channel();
        for ms in [30u64, 5, 20, 5] {
            let (sender, at) = (sender.clone(), Nanos(clock.now().0 + ms * 1_000_000));
            queue.push(at, Box::new(move || sender.send((ms, clock.now() >= at)).unwrap()));
        }
        let order: Vec<_> = (0..4).map(|_| receiver.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
        assert_eq!(order, [(5, true), (5, true), (20, true), (30, true)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn ten_thousand_can_wait_and_be_dropped() {
        let queue = DelayQueue::start(Clock::start()).unwrap();
        for n in 0..10_000 {
            queue.push(Nanos(60_000_000_000 + n), Box::new(|| unreachable!("dropped before its time")));
        }
        assert_eq!(queue.len(), 10_000);
        drop(queue);
    }
}
