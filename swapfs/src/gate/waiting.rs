//! Who waits at the gate, and until when. Plain data: whoever calls holds the lock and says what time it is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::crowd::{Answer, Crowd, Held};
use super::way::Ways;
use super::who::{Job, Who};
use crate::filesystem::caching::Holdup;
use crate::throttle::{Nanos, Planned, Request, Rule, Throttle, Ticket};

/// All who wait.
#[derive(Debug)]
pub(super) struct Waiting {
    throttle: Throttle,
    held: Crowd,
    /// When each may go. Entries of those that were planned anew meanwhile are stale, and passed over.
    deadlines: BinaryHeap<Reverse<(Nanos, Ticket)>>,
    given: u64,
    ways: Ways,
    /// Kept for its room.
    planned: Vec<(Ticket, Nanos)>,
}

/// What a request may do that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Nothing holds it back.
    Free,
    /// It was held back, for no longer than it took to serve it.
    Served,
    /// It has to wait: leave its answer with [`super::Gate::leave`].
    Held(Ticket),
}

/// What the gate's thread has to do next.
pub(super) enum Step {
    /// Send this answer to that thread at that time, which is now or nearly.
    Send(Nanos, u32, Job),
    /// Wait until then, or for ever, or for somebody to come.
    Wait(Option<Nanos>),
}

impl Waiting {
    pub(super) fn new(throttle: Throttle) -> Self {
        let (held, deadlines, planned) = (Crowd::default(), BinaryHeap::new(), Vec::new());
        Waiting { throttle, held, deadlines, given: 0, ways: Ways::default(), planned }
    }

    pub(super) fn rules(&self) -> &[Rule] {
        self.throttle.rules()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn holdup(&self, file: u64) -> Holdup {
        self.held.holdup(file)
    }

    /// A request comes that arrived a little before `now`: what it may do, and when its answer is due if a
    /// rule says so by now.
    pub(super) fn admit(
        &mut self,
        now: Nanos,
        who: &Who,
        request: Request,
        hang: Nanos,
    ) -> (Admission, Option<Nanos>) {
        let (admission, due) = self.plan(now, who, request, hang);
        if !matches!(admission, Admission::Held(_)) {
            // Else a way that was taken for longer than it is, by which nothing is held back, would never be
            // seen to be shorter.
            self.ways.send(request.thread, &request, due.unwrap_or(now), now);
        }
        (admission, due)
    }

    fn plan(
        &mut self,
        now: Nanos,
        who: &Who,
        mut request: Request,
        hang: Nanos,
    ) -> (Admission, Option<Nanos>) {
        (request.way, request.owed) = self.ways.arrive(request.thread, request.bytes, request.arrived);
        let ticket = Ticket(self.given);
        self.given += 1;
        let ready = match self.submit(request.arrived, ticket, who, &request) {
            Planned::Free if hang == Nanos(0) => return (Admission::Free, None),
            Planned::Free => Some(request.arrived),
            Planned::At(at) => Some(at),
            Planned::Queued => None,
        };
        let due = ready.map(|at| at.after(hang));
        match due {
            Some(at) if at <= request.arrived => return (Admission::Free, due),
            Some(at) if at <= now => return (Admission::Served, due),
            Some(at) => self.deadlines.push(Reverse((at, ticket))),
            None => {}
        }
        self.held.insert(ticket, Held { who: who.clone(), request, ready, hang, answer: Answer::ToCome });
        (Admission::Held(ticket), due)
    }

    fn submit(&mut self, now: Nanos, ticket: Ticket, who: &Who, request: &Request) -> Planned {
        let path = who.account.path();
        let known = self.throttle.know(who.known.get(), path);
        who.known.set(known);
        let names = who.process.names();
        let rule = self.throttle.rule_for(known, path, &names.client());
        self.throttle.submit(rule, now, ticket, request)
    }

    /// Takes the answer of one who waits; gives it back if it is due already, to be sent at `now`.
    pub(super) fn leave(&mut self, now: Nanos, ticket: Ticket, job: Job) -> Option<Job> {
        let Some(held) = self.held.find(ticket) else { return Some(job) };
        if matches!(held.answer, Answer::ToCome) {
            held.answer = Answer::Here(job);
            return None;
        }
        self.ways.send(held.request.thread, &held.request, held.due().unwrap_or(now), now);
        self.held.remove(ticket);
        Some(job)
    }

    /// The answer to a thread that was given out last has been written by `now`.
    pub(super) fn written(&mut self, thread: u32, now: Nanos) {
        self.ways.written(thread, now);
    }

    /// When the thread has something to do.
    pub(super) fn next(&self) -> Option<Nanos> {
        let first = self.deadlines.peek().map(|Reverse((at, _))| *at);
        [first, self.throttle.next()].into_iter().flatten().min()
    }

    /// What there is to do at `now`; an answer is given out so much before its time.
    pub(super) fn step(&mut self, now: Nanos, early: Nanos) -> Step {
        self.throttle.advance(now, &mut self.planned);
        for (ticket, ready) in self.planned.drain(..) {
            if let Some(held) = self.held.find(ticket) {
                held.ready = Some(ready);
                self.deadlines.push(Reverse((ready.after(held.hang), ticket)));
            }
        }
        while let Some(&Reverse((at, ticket))) = self.deadlines.peek() {
            if at > now.after(early) {
                break;
            }
            self.deadlines.pop();
            if let Some((thread, job)) = self.take(ticket, at, at.max(now)) {
                return Step::Send(at, thread, job);
            }
        }
        Step::Wait(self.next())
    }

    /// The answer of one whose time `at` has come, and its thread, if it is there and was not planned anew;
    /// it is sent at `now`.
    fn take(&mut self, ticket: Ticket, at: Nanos, now: Nanos) -> Option<(u32, Job)> {
        let held = self.held.find(ticket)?;
        if held.due() != Some(at) {
            return None;
        }
        match std::mem::replace(&mut held.answer, Answer::Overdue) {
            Answer::Here(job) => {
                let thread = held.request.thread;
                self.ways.send(thread, &held.request, at, now);
                self.held.remove(ticket);
                Some((thread, job))
            }
            Answer::ToCome | Answer::Overdue => None,
        }
    }

    /// Puts other rules in force at `now`; who waits goes on under them, in the order of arrival.
    pub(super) fn replace(&mut self, now: Nanos, rules: Vec<Rule>) {
        self.throttle.replace(rules);
        self.deadlines.clear();
        let mut all = std::mem::take(&mut self.held);
        for (ticket, held) in all.iter_mut() {
            held.ready = match self.submit(now, ticket, &held.who, &held.request) {
                Planned::Free => Some(held.request.arrived),
                Planned::At(at) => Some(at),
                Planned::Queued => None,
            };
            if let Some(ready) = held.ready {
                self.deadlines.push(Reverse((ready.after(held.hang), ticket)));
            }
        }
        self.held = all;
    }

    /// Nothing hangs on purpose any more.
    pub(super) fn end_hangs(&mut self) {
        for (ticket, held) in self.held.iter_mut() {
            if std::mem::take(&mut held.hang) > Nanos(0)
                && let Some(ready) = held.ready
            {
                self.deadlines.push(Reverse((ready, ticket)));
            }
        }
    }
}
