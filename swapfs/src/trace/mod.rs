//! Every request, one by one, for who asks: each opening of `.swapfs/trace` has a ring of its own, which is
//! filled while it is open.
//!
//! A ring holds at most [`CAPACITY`] events. When its reader is too slow, new events are dropped, and
//! counted: the text has a line `#dropped N` where they are missing. While nobody traces, an event costs one
//! load.

mod event;
mod export;
mod line;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

pub use event::{Event, Happening, Operation};
pub use export::{Exporter, Format};
pub use line::{HEADER, Line, LineError, Parsed};

/// Events that a ring holds: about 6 MiB.
pub const CAPACITY: usize = 1 << 16;
/// Rings that there may be at once, so that readers who never read cannot fill the daemon's memory.
pub const MOST_READERS: usize = 16;

/// The events of one reader.
#[derive(Debug)]
pub struct Ring {
    capacity: usize,
    /// A leaf of the lock order.
    events: Mutex<Waiting>,
    /// Text that was made but did not fit the reader's buffer. Locked before `events`, by the reader alone.
    text: Mutex<VecDeque<u8>>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    dropped: u64,
}

impl Ring {
    /// A ring for so many events.
    pub fn new(capacity: usize) -> Self {
        Ring { capacity, events: Mutex::default(), text: Mutex::new(HEADER.bytes().collect()) }
    }

    fn push(&self, event: &Event) {
        let mut waiting = self.events.lock();
        if waiting.events.len() < self.capacity {
            waiting.events.push_back(event.clone());
        } else {
            waiting.dropped += 1;
        }
    }

    /// Moves as much of the text as there is into `buffer`; returns how much that was. Zero means: none for
    /// now.
    pub fn read(&self, buffer: &mut [u8]) -> usize {
        let mut text = self.text.lock();
        while text.len() < buffer.len() {
            let (batch, dropped) = self.take(1024);
            let mut more = Vec::new();
            batch.iter().for_each(|event| line::write_event(&mut more, event));
            if dropped > 0 {
                line::write_dropped(&mut more, dropped);
            }
            if more.is_empty() {
                break;
            }
            text.extend(more);
        }
        let bytes = text.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(text.drain(..bytes)) {
            *to = from;
        }
        bytes
    }

    /// Some events, and how many are missing after them: known once the ring was emptied, since they came
    /// last.
    fn take(&self, most: usize) -> (Vec<Event>, u64) {
        let mut waiting = self.events.lock();
        let count = most.min(waiting.events.len());
        let batch = waiting.events.drain(..count).collect();
        let dropped = if waiting.dropped > 0 { std::mem::take(&mut waiting.dropped) } else { 0 };
        (batch, dropped)
    }
}

/// All readers.
#[derive(Debug, Default)]
pub struct Tracers {
    some: AtomicBool,
    rings: RwLock<Vec<Arc<Ring>>>,
}

impl Tracers {
    /// Starts recording for a new reader; not where there are [`MOST_READERS`] already.
    pub fn start(&self) -> Option<Arc<Ring>> {
        let ring = Arc::new(Ring::new(CAPACITY));
        let mut rings = self.rings.write();
        if rings.len() >= MOST_READERS {
            return None;
        }
        rings.push(ring.clone());
        self.some.store(true, Ordering::Relaxed);
        Some(ring)
    }

    /// Stops recording for a reader.
    pub fn stop(&self, ring: &Arc<Ring>) {
        let mut rings = self.rings.write();
        rings.retain(|other| !Arc::ptr_eq(other, ring));
        self.some.store(!rings.is_empty(), Ordering::Relaxed);
    }

    /// Records an event for all readers; it is made only if there is one.
    pub fn record(&self, event: impl FnOnce() -> Event) {
        if self.some.load(Ordering::Relaxed) {
            let event = event();
            self.rings.read().iter().for_each(|ring| ring.push(&event));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::accounting::{Answered, FileClass, Ledger, Occasion, Order};
    use crate::filesystem::Ino;
    use crate::throttle::{Direction, Nanos, Request};

    pub(crate) fn event(path: impl AsRef<std::ffi::OsStr>, offset: u64) -> Event {
        let ledger = Ledger::default();
        let request = Request::sample(Direction::Read, offset, 4096, Nanos(1_500_000));
        Event {
            what: Happening::Transfer(Answered {
                request,
                order: Order::Random,
                errno: 0,
                service_ns: 2000,
                wait_ns: None,
            }),
            depth: 1,
            process: ledger.processes().account(0, Occasion::Request),
            account: ledger.account(Ino(1), FileClass::Image, || path.as_ref().into()),
        }
    }

    fn all(ring: &Ring) -> String {
        let (mut text, mut buffer) = (vec![], [0; 37]);
        loop {
            match ring.read(&mut buffer) {
                0 => return String::from_utf8(text).unwrap(),
                bytes => text.extend_from_slice(&buffer[..bytes]),
            }
        }
    }

    #[test]
    fn a_full_ring_drops_and_counts() {
        let ring = Ring::new(3);
        (0..5).for_each(|n| ring.push(&event("images/a", n * 4096)));
        let text = all(&ring);
        assert!(text.starts_with(HEADER), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("images/a")).count(), 3, "{text}");
        assert!(text.ends_with("#dropped 2\n"), "{text}");
        ring.push(&event("images/b", 0));
        assert_eq!(all(&ring).lines().count(), 1);
    }

    #[test]
    fn events_are_made_for_readers_only() {
        let tracers = Tracers::default();
        tracers.record(|| unreachable!("nobody traces"));
        let ring = tracers.start().unwrap();
        tracers.record(|| event("images/a", 0));
        assert_eq!(all(&ring).lines().count(), 2);
        tracers.stop(&ring);
        tracers.record(|| unreachable!("nobody traces any more"));
    }
}
