//! Which requests have to wait, in which order and how long. Pure: time is an argument, nothing sleeps here.
//!
//! A [`Throttle`] is a list of rules; the first one whose selector accepts a request decides. Each rule has
//! limits for reads and for writes, shared by all that it accepts. A request is submitted when it came, and
//! gets its time at once or, when others are before it, by a later [`Throttle::advance`]. [`crate::gate`]
//! keeps the time and does the waiting.

mod arm;
mod fair;
mod glob;
#[cfg(test)]
mod goodness;
mod lane;
pub(crate) mod language;
mod latency;
mod pace;
pub mod profiles;
mod random;
mod selector;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use arm::Arm;
pub use fair::{FairQueue, Flow};
pub use glob::Glob;
use lane::Lane;
pub use language::{RuleError, parse_rules};
pub use latency::Latency;
pub use pace::{IDLE_CREDIT, Pace};
pub use random::Random;
pub use selector::{Client, Condition, Selector};

use crate::filesystem::Ino;

/// Nanoseconds since the mount began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// This time and `span` more.
    pub fn after(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }

    /// This time less `span`, not before the beginning.
    pub fn before(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(span.0))
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(nanos: Nanos) -> Self {
        Duration::from_nanos(nanos.0)
    }
}

/// A direction of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the mount to the client.
    Read,
    /// From the client to the mount.
    Write,
}

/// What one direction may do. Nothing set means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Bytes a second.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Requests a second.
    pub operations_per_second: Option<NonZeroU64>,
    /// Added to each request.
    pub latency: Option<Latency>,
    /// How many requests have their latency at once; without it, all.
    pub queue_depth: Option<NonZeroU32>,
    /// How many bytes may come at once, at the start and after idling.
    pub burst_bytes: u64,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// Limits for a set of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The requests.
    pub selector: Selector,
    /// Limits of reading.
    pub read: Limits,
    /// Limits of writing.
    pub write: Limits,
}

/// The first rule for a file's path, whoever asks; good until the rules change. The default knows nothing
/// yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known(pub u64);

/// An answer makes good no more than this part of its latency ([`Request::owed`]).
pub(crate) const OWED_PART: u64 = 8;

/// A request to read or write, as all that have to do with it know it: throttle and gate, counts and traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its file.
    pub file: Ino,
    /// Its process.
    pub pid: u32,
    /// The thread of it that waits.
    pub thread: u32,
    /// Read or write.
    pub direction: Direction,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes are asked for.
    pub asked: u64,
    /// How many were transferred; none where it failed.
    pub bytes: u64,
    /// When it came; latency counts from here.
    pub arrived: Nanos,
    /// How much of a latency passes on the way between client and mount, and need not be waited for.
    pub way: Nanos,
    /// By how much more than they were to take its thread's last answers came late. Made good here, up to an
    /// eighth of the latency.
    pub owed: Nanos,
}

impl Request {
    /// One for bytes that are all there, of file, process and thread number 1, for tests.
    #[cfg(test)]
    pub(crate) fn sample(direction: Direction, offset: u64, bytes: u64, arrived: Nanos) -> Self {
        let (file, pid, thread, asked) = (Ino(1), 1, 1, bytes);
        Request { file, pid, thread, direction, offset, asked, bytes, arrived, way: Nanos(0), owed: Nanos(0) }
    }
}

/// Stands for a request while it waits; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// When a request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// At once: no rule is for it.
    Free,
    /// At this time.
    At(Nanos),
    /// Others are before it: [`Throttle::advance`] will say.
    Queued,
}

/// All rules of a mount, and how far each has been used.
#[derive(Debug)]
pub struct Throttle {
    /// Which set of rules this is, from 1.
    generation: u32,
    rules: Vec<Rule>,
    lanes: Vec<[Lane; 2]>,
    arms: Vec<Arm>,
    /// The lanes in which requests wait.
    busy: BTreeSet<(usize, Direction)>,
    random: Random,
}

impl Throttle {
    /// A throttle with these rules, nothing used yet. All that is random follows from `seed`.
    pub fn new(rules: &[Rule], seed: u64) -> Self {
        let (random, busy) = (Random::new(seed), BTreeSet::new());
        let mut throttle =
            Throttle { generation: 0, rules: vec![], lanes: vec![], arms: vec![], busy, random };
        throttle.replace(rules.to_vec());
        throttle
    }

    /// Puts other rules in force, nothing used yet. Who is still queued must be submitted again.
    pub fn replace(&mut self, rules: Vec<Rule>) {
        self.generation = self.generation.wrapping_add(1).max(1);
        self.lanes = rules.iter().map(|rule| [Lane::new(&rule.read), Lane::new(&rule.write)]).collect();
        self.arms = vec![Arm::default(); rules.len()];
        self.busy.clear();
        self.rules = rules;
    }

    /// The rules in force, first to last.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is known of the first rule for `path`, looked up again if the rules have changed.
    pub fn know(&self, known: Known, path: &Path) -> Known {
        if known.0 >> 32 == u64::from(self.generation) {
            return known;
        }
        let path = path.as_os_str().as_bytes();
        let first = self.rules.iter().position(|rule| rule.selector.path.holds(path));
        Known(u64::from(self.generation) << 32 | first.map_or(0, |index| index as u64 + 1))
    }

    /// The rule for the requests of `client` for `path`, of which so much is known.
    pub fn rule_for(&self, known: Known, path: &Path, client: &Client<'_>) -> Option<usize> {
        let first = usize::try_from(known.0 & 0xffff_ffff).ok()?.checked_sub(1)?;
        let selector = |index: usize| &self.rules[index].selector;
        let path = path.as_os_str().as_bytes();
        (first..self.rules.len()).find(|index| {
            (*index == first || selector(*index).path.holds(path)) && selector(*index).accepts(client)
        })
    }

    /// A request comes under a rule at `now`, or comes again as the rules have changed since it arrived.
    pub fn submit(&mut self, rule: Option<usize>, now: Nanos, ticket: Ticket, request: &Request) -> Planned {
        let Some(rule) = rule.filter(|rule| *rule < self.lanes.len()) else { return Planned::Free };
        let lane = &mut self.lanes[rule][side(request.direction)];
        let is_first = lane.next().is_none();
        lane.push(now, ticket, request, &mut self.random);
        let begun = if is_first { lane.begin(now, &mut self.arms[rule]) } else { None };
        match begun {
            Some((_, at)) => Planned::At(at),
            None => {
                self.busy.insert((rule, request.direction));
                Planned::Queued
            }
        }
    }

    /// When the next of those that are queued has its turn.
    pub fn next(&self) -> Option<Nanos> {
        self.busy.iter().filter_map(|(rule, direction)| self.lanes[*rule][side(*direction)].next()).min()
    }

    /// Adds to `planned` those whose turn has come by `now`, and when each may be answered.
    pub fn advance(&mut self, now: Nanos, planned: &mut Vec<(Ticket, Nanos)>) {
        let Throttle { lanes, arms, busy, .. } = self;
        busy.retain(|(rule, direction)| {
            let lane = &mut lanes[*rule][side(*direction)];
            while let Some(begun) = lane.begin(now, &mut arms[*rule]) {
                planned.push(begun);
            }
            lane.next().is_some()
        });
    }
}

fn side(direction: Direction) -> usize {
    match direction {
        Direction::Read => 0,
        Direction::Write => 1,
    }
}
