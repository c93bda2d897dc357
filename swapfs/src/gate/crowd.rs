//! Those who wait: by ticket, and how many for each file. Every open asks for the latter, so it is kept and
//! not counted anew.
//!
//! Knows nothing of deadlines.

use std::collections::{BTreeMap, HashMap};

use super::who::{Job, Who};
use crate::filesystem::caching::Holdup;
use crate::throttle::{Nanos, Request, Ticket};

/// One who waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) who: Who,
    pub(super) request: Request,
    /// When the throttle lets it go; `None` while others are before it.
    pub(super) ready: Option<Nanos>,
    /// How much longer it hangs, on purpose.
    pub(super) hang: Nanos,
    pub(super) answer: Answer,
}

pub(super) enum Answer {
    /// It is still being made.
    ToCome,
    /// It was due before it came.
    Overdue,
    Here(Job),
}

impl Held {
    /// When it may go, hanging and all.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.ready.map(|ready| ready.after(self.hang))
    }
}

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    held: BTreeMap<Ticket, Held>,
    /// How many of them wait for each file. None is 0.
    of_file: HashMap<u64, usize>,
}

impl Crowd {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether any waits for `file`.
    pub(super) fn holdup(&self, file: u64) -> Holdup {
        match self.of_file.contains_key(&file) {
            true => Holdup::Waiting,
            false => Holdup::Free,
        }
    }

    /// Takes in one whose ticket no other has.
    pub(super) fn insert(&mut self, ticket: Ticket, held: Held) {
        *self.of_file.entry(held.request.file.0).or_default() += 1;
        let other = self.held.insert(ticket, held);
        debug_assert!(other.is_none(), "{ticket:?} was given twice");
    }

    pub(super) fn find(&mut self, ticket: Ticket) -> Option<&mut Held> {
        self.held.get_mut(&ticket)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) {
        let Some(held) = self.held.remove(&ticket) else { return };
        let file = held.request.file.0;
        match self.of_file.get_mut(&file) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.of_file.remove(&file)),
        }
    }

    /// All, in the order of their tickets.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Ticket, &mut Held)> {
        self.held.iter_mut().map(|(ticket, held)| (*ticket, held))
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Answer::ToCome => "ToCome",
            Answer::Overdue => "Overdue",
            Answer::Here(_) => "Here",
        })
    }
}
