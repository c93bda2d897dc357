//! Short wakes: while requests keep coming, idle processors are asked to poll instead of halting.
//!
//! A small request is two wakes, of a serving thread and of its client, and where a halted processor takes
//! long to wake (a virtual one: 50 us) they are nearly all of its time. `/dev/cpu_dma_latency` tells the
//! kernel what a wake may take, for as long as it is held open; at 0 its idle loop polls. That keeps idle
//! processors warm, and has let other threads wait for long (docs/decisions/short-wakes.md): so it is asked
//! for only before a throttled answer is due, as a halted processor's timer is late too, while requests come
//! too late for the rate that they are to have, and by choice (`--wake fast`) while requests come fast; it is
//! given up a few milliseconds after. It goes with the process, however that ends. Owns the device and a
//! thread that gives up in time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;
use crate::throttle::Nanos;

const DEVICE: &str = "/dev/cpu_dma_latency";
/// What it is told: no wake may take any time; any time will do (`PM_QOS_CPU_LATENCY_DEFAULT_VALUE`).
const AT_ONCE_US: i32 = 0;
const WHENEVER_US: i32 = 2_000_000_000;

/// So many requests within [`WINDOW`] are a client that waits for each: at 60 us a request there come 32.
const MANY: u64 = 8;
const WINDOW: Nanos = Nanos(2_000_000);
/// How often it is looked whether they still come.
const LOOK: Duration = Duration::from_millis(5);
/// So few requests between two looks are none to hurry for.
const FEW: u64 = 5;

/// What idle processors do while requests keep coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wake {
    /// Poll shortly before a throttled answer is due, and while one is overdue, where we may ask for that,
    /// which takes root.
    #[default]
    Auto,
    /// Poll while requests keep coming too, and say so if we may not ask for that.
    Fast,
    /// What the system does anyway.
    Plain,
}

/// How many requests came, and in which window of time.
#[derive(Debug, Default)]
struct Demand {
    requests: AtomicU64,
    window_began: AtomicU64,
    requests_at_began: AtomicU64,
}

impl Demand {
    /// A request comes at `now`. Threads that meet in here may shift a window by a request or two.
    fn request(&self, now: Nanos) -> Arrival {
        let count = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if now.before(Nanos(self.window_began.load(Ordering::Relaxed))) > WINDOW {
            self.window_began.store(now.0, Ordering::Relaxed);
            self.requests_at_began.store(count, Ordering::Relaxed);
            return Arrival::OneOfFew;
        }
        match count.saturating_sub(self.requests_at_began.load(Ordering::Relaxed)) {
            n if n >= MANY => Arrival::OneOfMany,
            _ => Arrival::OneOfFew,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    OneOfFew,
    OneOfMany,
}

/// Sees requests come and be due, and hurries the processors for them.
#[derive(Debug)]
pub struct Wakes {
    held: Option<(Arc<Shared>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    wake: Wake,
    demand: Demand,
    /// Until then somebody has to wake in time.
    appointment: AtomicU64,
    /// The same as whether `state` is `Held`, to be read without a lock.
    hurrying: AtomicBool,
    /// A leaf of the lock order. Held while the device is told, which is no I/O, so that the last word is the
    /// newest.
    state: Mutex<State>,
    changed: Condvar,
    device: File,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Released,
    Held,
    Closed,
}

impl Wakes {
    /// Ready to hurry, if that is wanted and allowed; else does nothing, ever.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(wake: Wake, clock: Clock) -> std::io::Result<Self> {
        if wake == Wake::Plain {
            return Ok(Wakes { held: None });
        }
        let device = match OpenOptions::new().write(true).open(DEVICE) {
            Ok(device) => device,
            Err(error) => {
                if wake == Wake::Fast {
                    tracing::warn!("wakes stay as slow as they are, {DEVICE} needs root: {error}");
                }
                return Ok(Wakes { held: None });
            }
        };
        let (demand, appointment, hurrying) = (Demand::default(), 0.into(), false.into());
        let (state, changed) = (Mutex::new(State::Released), Condvar::new());
        let shared = Arc::new(Shared { clock, wake, demand, appointment, hurrying, state, changed, device });
        let worker = shared.clone();
        let thread = std::thread::Builder::new().name("swapfs-wakes".into()).spawn(move || worker.run())?;
        Ok(Wakes { held: Some((shared, thread)) })
    }

    /// A request has come.
    pub fn request(&self) {
        let Some((shared, _)) = &self.held else { return };
        if shared.wake != Wake::Fast {
            return;
        }
        let arrival = shared.demand.request(shared.clock.now());
        if arrival == Arrival::OneOfMany && !shared.hurrying.load(Ordering::Relaxed) {
            shared.hurry();
        }
    }

    /// A thread is to wake at `at`, which is soon, or was.
    pub fn soon(&self, at: Nanos) {
        let Some((shared, _)) = &self.held else { return };
        shared.appointment.fetch_max(at.0, Ordering::Relaxed);
        if !shared.hurrying.load(Ordering::Relaxed) {
            shared.hurry();
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        let Some((shared, thread)) = self.held.take() else { return };
        *shared.state.lock() = State::Closed;
        shared.changed.notify_one();
        let _ = thread.join();
    }
}

impl Shared {
    fn hurry(&self) {
        let mut state = self.state.lock();
        if *state == State::Released {
            *state = State::Held;
            self.hurrying.store(true, Ordering::Relaxed);
            self.tell(AT_ONCE_US);
            self.changed.notify_one();
        }
    }

    fn tell(&self, latency_us: i32) {
        if let Err(error) = (&self.device).write_all(&latency_us.to_ne_bytes()) {
            tracing::warn!("cannot tell {DEVICE} how long wakes may take: {error}");
        }
    }

    fn run(&self) {
        let mut state = self.state.lock();
        while *state != State::Closed {
            if *state == State::Released {
                self.changed.wait(&mut state);
                continue;
            }
            let before = self.demand.requests.load(Ordering::Relaxed);
            self.changed.wait_for(&mut state, LOOK);
            let came = self.demand.requests.load(Ordering::Relaxed) - before;
            let kept = Nanos(self.appointment.load(Ordering::Relaxed)) < self.clock.now();
            if *state == State::Held && came < FEW && kept {
                *state = State::Released;
                self.hurrying.store(false, Ordering::Relaxed);
                self.tell(WHENEVER_US);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_that_keep_coming_are_many() {
        let demand = Demand::default();
        let every = |step_us: u64, from_us: u64| {
            let arrivals = (0..100).map(|n| demand.request(Nanos((from_us + n * step_us) * 1000)));
            arrivals.filter(|arrival| *arrival == Arrival::OneOfMany).count()
        };
        assert_eq!(every(1000, 10_000), 0, "a thousand a second");
        assert!(every(60, 1_000_000) > 60, "a client that waits for each");
        assert_eq!(every(500, 2_000_000), 0);
    }

    #[test]
    fn a_burst_is_hurried_for_and_given_up_after() {
        let wakes = Wakes::start(Wake::Fast, Clock::start()).unwrap();
        // Without the device, for an ordinary user, there is nothing to be seen.
        let Some((shared, _)) = &wakes.held else { return };
        let began = std::time::Instant::now();
        while !shared.hurrying.load(Ordering::Relaxed) {
            assert!(began.elapsed() < Duration::from_secs(30), "it is never hurried for");
            wakes.request();
        }
        while shared.hurrying.load(Ordering::Relaxed) {
            assert!(began.elapsed() < Duration::from_secs(30), "it is never given up");
            std::thread::sleep(LOOK);
        }
        assert_eq!(*shared.state.lock(), State::Released);
        drop(wakes);
    }

    #[test]
    fn an_appointment_is_hurried_for_until_it_is_kept() {
        let clock = Clock::start();
        let wakes = Wakes::start(Wake::Fast, clock).unwrap();
        let Some((shared, _)) = &wakes.held else { return };
        let at = clock.now().after(Nanos(50_000_000));
        wakes.soon(at);
        while shared.hurrying.load(Ordering::Relaxed) {
            assert!(clock.now() < at.after(Nanos(30_000_000_000)), "it is never given up");
            std::thread::sleep(LOOK);
        }
        assert!(clock.now() > at, "it was given up before");
    }

    #[test]
    fn nobody_is_hurried_where_that_is_not_wanted() {
        let wakes = Wakes::start(Wake::Plain, Clock::start()).unwrap();
        (0..100).for_each(|_| wakes.request());
        wakes.soon(Nanos(u64::MAX));
        assert!(wakes.held.is_none());
    }
}
