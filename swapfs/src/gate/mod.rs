//! The gate: requests come here when they are served, and go when the throttle lets them. One thread keeps
//! the time for all who wait, so one costs its answer's bytes and nothing else: no serving thread waits for
//! it.
//!
//! Owns the throttle's state, as who waits and whose turn it is must not come apart.
//!
//! Oversleeping: the thread's timer slack is 1 ns, it asks that no processor halts shortly before a deadline,
//! is woken as much earlier as it was late lately, and spins for the rest. Nor should one halt while requests
//! under a rule come later than they may.

mod crowd;
mod oversleep;
mod waiting;
mod way;
mod who;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use oversleep::Oversleep;
pub use waiting::Admission;
pub use who::{Job, KnownRule, Who};

use waiting::{Step, Waiting};

use crate::clock::Clock;
use crate::filesystem::caching::Holdup;
use crate::throttle::{Known, Nanos, Request, Rule, Throttle, Ticket};
use crate::wake::Wakes;

/// So long before a deadline processors are asked not to halt: a wake from there is late by less.
const SOON: Duration = Duration::from_millis(5);

/// All who wait, and the thread that keeps the time for them.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    wakes: Arc<Wakes>,
    /// Above a process's name in the lock order; jobs run without it.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: Waiting,
    closed: bool,
}

impl KnownRule {
    pub(super) fn get(&self) -> Known {
        Known(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, known: Known) {
        self.0.store(known.0, Ordering::Relaxed);
    }
}

impl Gate {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(clock: Clock, wakes: Arc<Wakes>, throttle: Throttle) -> std::io::Result<Self> {
        let state = Mutex::new(State { waiting: Waiting::new(throttle), closed: false });
        let shared = Arc::new(Shared { clock, wakes, state, changed: Condvar::new() });
        let worker = shared.clone();
        let thread = std::thread::Builder::new().name("swapfs-delay".into()).spawn(move || worker.run())?;
        Ok(Gate { shared, thread: Some(thread) })
    }

    /// A request comes that is served but not answered; it hangs so long besides.
    pub fn admit(&self, who: &Who, request: Request, hang: Nanos) -> Admission {
        let (admission, due) = self.shared.change(|waiting, now| waiting.admit(now, who, request, hang));
        if let (Admission::Free | Admission::Served, Some(due)) = (admission, due) {
            // It may go faster than it does.
            self.shared.wakes.soon(due);
        }
        admission
    }

    /// Leaves the answer of one who waits, to be sent when its time comes.
    pub fn leave(&self, ticket: Ticket, job: Job) {
        let due = self.shared.state.lock().waiting.leave(self.shared.clock.now(), ticket, job);
        if let Some(job) = due {
            job();
        }
    }

    /// The rules in force, as text.
    pub fn rules_text(&self) -> String {
        self.shared.state.lock().waiting.rules().iter().map(|rule| format!("{rule}\n")).collect()
    }

    /// Puts other rules in force, also for those that wait.
    pub fn replace(&self, rules: Vec<Rule>) {
        self.shared.change(|waiting, now| waiting.replace(now, rules));
    }

    /// Lets those go that hang on purpose.
    pub fn end_hangs(&self) {
        self.shared.change(|waiting, _| waiting.end_hangs());
    }

    /// Whether requests for the file with this number wait.
    pub fn holdup(&self, file: u64) -> Holdup {
        self.shared.state.lock().waiting.holdup(file)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.shared.state.lock().waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Gate {
    /// Drops what still waits: the kernel answers those clients with an error.
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Changes who waits, and wakes the thread if it has to do something sooner than it knows.
    fn change<T>(&self, change: impl FnOnce(&mut Waiting, Nanos) -> T) -> T {
        let mut state = self.state.lock();
        let before = state.waiting.next();
        let done = change(&mut state.waiting, self.clock.now());
        let sooner = match (before, state.waiting.next()) {
            (Some(before), Some(after)) => after < before,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        drop(state);
        if sooner {
            self.changed.notify_one();
        }
        done
    }

    fn run(&self) {
        if let Err(error) = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)) {
            tracing::warn!("timer slack stays at its default, waits will be up to 0.1 ms too long: {error}");
        }
        let mut sleep = Oversleep::default();
        while let Some((at, thread, job)) = self.next(&mut sleep) {
            self.spin_until(at);
            job();
            self.state.lock().waiting.written(thread, self.clock.now());
        }
    }

    /// Waits for the first deadline to come near; `None` once closed.
    fn next(&self, sleep: &mut Oversleep) -> Option<(Nanos, u32, Job)> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            match state.waiting.step(self.clock.now(), sleep.early()) {
                Step::Send(at, thread, job) => return Some((at, thread, job)),
                Step::Wait(None) => self.changed.wait(&mut state),
                Step::Wait(Some(at)) => self.wait(&mut state, at, sleep),
            }
        }
    }

    /// Waits until `at`, or until things change.
    fn wait(&self, state: &mut MutexGuard<'_, State>, at: Nanos, sleep: &mut Oversleep) {
        let left = self.clock.until(at);
        if let Some(time) = left.checked_sub(SOON) {
            self.changed.wait_for(state, time);
            return;
        }
        self.wakes.soon(at);
        let Some(time) = left.checked_sub(sleep.early().into()) else {
            return MutexGuard::unlocked(state, || self.spin_until(at));
        };
        let asked = at.before(sleep.early());
        if self.changed.wait_for(state, time).timed_out() {
            sleep.woke(self.clock.now().before(asked));
        }
    }

    fn spin_until(&self, at: Nanos) {
        while !self.clock.until(at).is_zero() {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests;
