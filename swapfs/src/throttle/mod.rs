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
mod nanos;
mod pace;
pub mod profiles;
mod random;
pub(crate) mod request;
mod rule;
mod selector;
#[cfg(test)]
mod tests;
pub(crate) mod wrong;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use arm::Arm;
pub use fair::{FairQueue, Flow};
pub use glob::Glob;
use lane::Lane;
pub use language::{RuleError, parse_rules};
pub use latency::Latency;
pub use nanos::Nanos;
pub use pace::{IDLE_CREDIT, Pace};
pub use random::Random;
pub use request::{Direction, Request, Ticket};
pub use rule::{Limits, Rule};
pub use selector::{Client, Condition, Selector};

/// The first rule for a file's path, whoever asks; good until the rules change. The default knows nothing
/// yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known(pub u64);

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
