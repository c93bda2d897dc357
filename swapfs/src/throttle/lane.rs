//! One direction of one rule: who waits there, and when each is let through.
//!
//! Requests begin one after the other, as the rates and the places in the queue allow; of those that wait,
//! the next is the one whose turn it is ([`FairQueue`]). That is decided when it can begin and not when it
//! arrives, so that one who comes later can still be given his share.

use super::arm::Arm;
use super::fair::{FairQueue, Flow};
use super::latency::Latency;
use super::nanos::Nanos;
use super::pace::Pace;
use super::random::Random;
use super::request::{OWED_PART, Request, Ticket};
use super::rule::Limits;

/// Costs are compared in nanoseconds of the rates; where there are none, requests are counted.
const ONE_REQUEST: u64 = 1;

#[derive(Debug)]
pub(super) struct Lane {
    bandwidth: Option<Pace>,
    operations: Option<Pace>,
    latency: Option<Latency>,
    /// When each place in the queue is free again; empty if there is no end of places.
    slots: Vec<Nanos>,
    queue: FairQueue<Queued>,
}

#[derive(Debug)]
struct Queued {
    ticket: Ticket,
    /// When it came to this lane: when it arrived, or when the rules changed.
    since: Nanos,
    request: Request,
    /// Drawn when it came, so that what is drawn does not depend on whose turn it is; `None` where the way of
    /// the arm decides.
    latency: Option<Nanos>,
}

impl Lane {
    pub(super) fn new(limits: &Limits) -> Self {
        Lane {
            bandwidth: limits.bytes_per_second.map(|rate| Pace::with_burst(rate, limits.burst_bytes)),
            operations: limits.operations_per_second.map(Pace::new),
            latency: limits.latency,
            slots: vec![Nanos(0); limits.queue_depth.map_or(0, |depth| depth.get() as usize)],
            queue: FairQueue::default(),
        }
    }

    /// A request comes.
    pub(super) fn push(&mut self, now: Nanos, ticket: Ticket, request: &Request, random: &mut Random) {
        let latency = match self.latency {
            Some(Latency::Seek(..)) => None,
            Some(model) => Some(model.sample(random, 0.0)),
            None => Some(Nanos(0)),
        };
        let flow = Flow { file: request.file.0, pid: request.pid };
        let queued = Queued { ticket, since: now, request: *request, latency };
        self.queue.push(flow, self.cost(request.bytes), queued);
    }

    /// When the next of those that wait can begin; `None` if none waits.
    pub(super) fn next(&self) -> Option<Nanos> {
        (!self.queue.is_empty()).then(|| self.free_at())
    }

    /// Lets the next begin, if it can at `now`: who that is, and when it may be answered.
    pub(super) fn begin(&mut self, now: Nanos, arm: &mut Arm) -> Option<(Ticket, Nanos)> {
        if self.free_at() > now {
            return None;
        }
        let Queued { ticket, since, request, latency } = self.queue.pop()?;
        let distance = arm.travel(&request);
        // A seek is not random.
        let latency =
            latency.or_else(|| self.latency.map(|model| model.sample(&mut Random::new(0), distance)));
        let transferred = self.bandwidth.as_mut().map(|pace| pace.schedule(since, request.bytes));
        let admitted = self.operations.as_mut().map(|pace| pace.schedule(since, 1));
        let ready = request.arrived.max(transferred.unwrap_or_default()).max(admitted.unwrap_or_default());
        let latency = latency.unwrap_or_default();
        let begun = match self.slots.iter_mut().min() {
            Some(slot) => {
                let begun = ready.max(*slot);
                *slot = begun.after(latency);
                begun
            }
            None => ready,
        };
        let owed = request.owed.min(Nanos(latency.0 / OWED_PART));
        Some((ticket, begun.after(latency.before(request.way).before(owed))))
    }

    fn free_at(&self) -> Nanos {
        let paces = [&self.bandwidth, &self.operations].into_iter().flatten().map(Pace::free_at);
        paces.chain(self.slots.iter().min().copied()).max().unwrap_or_default()
    }

    fn cost(&self, bytes: u64) -> u64 {
        let transfer = self.bandwidth.as_ref().map(|pace| pace.cost(bytes));
        let turn = self.operations.as_ref().map(|pace| pace.cost(1));
        transfer.max(turn).unwrap_or(ONE_REQUEST).max(ONE_REQUEST)
    }
}
