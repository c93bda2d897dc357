//! How long each request has to wait. Pure: time is an argument, nothing sleeps here.
//!
//! A [`Throttle`] is a list of rules; the first one whose pattern holds a file's visible path decides. Each rule has limits for
//! reads and for writes, shared by all files that it matches. [`crate::delay`] does the waiting.

mod glob;
pub(crate) mod language;
mod latency;
mod pace;
pub mod profiles;
mod random;

use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

pub use glob::Glob;
pub use language::{RuleError, parse_rules};
pub use latency::Latency;
pub use pace::{IDLE_CREDIT, Pace};
pub use random::Random;

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

/// A direction of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Limits for a set of files.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The files.
    pub glob: Glob,
    /// Limits of reading.
    pub read: Limits,
    /// Limits of writing.
    pub write: Limits,
}

/// What was last found out about the rule of a file; good until the rules change. The default knows nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known(pub u64);

/// A request that may have to wait.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Its file: any number that tells files apart.
    pub file: u64,
    /// Read or write.
    pub direction: Direction,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// All rules of a mount, and how far each has been used.
#[derive(Debug)]
pub struct Throttle {
    /// Which set of rules this is, from 1.
    generation: u32,
    rules: Vec<Rule>,
    lanes: Vec<[Lane; 2]>,
    arms: Vec<Arm>,
    random: Random,
}

impl Throttle {
    /// A throttle with these rules, nothing used yet. All that is random follows from `seed`.
    pub fn new(rules: &[Rule], seed: u64) -> Self {
        let random = Random::new(seed);
        let mut throttle = Throttle { generation: 0, rules: vec![], lanes: vec![], arms: vec![], random };
        throttle.replace(rules.to_vec());
        throttle
    }

    /// Puts other rules in force, nothing used yet. What waits already is answered as it was planned.
    pub fn replace(&mut self, rules: Vec<Rule>) {
        self.generation = self.generation.wrapping_add(1).max(1);
        self.lanes = rules.iter().map(|rule| [Lane::new(&rule.read), Lane::new(&rule.write)]).collect();
        self.arms = vec![Arm::default(); rules.len()];
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
        let number = self.rules.iter().position(|rule| rule.glob.holds(path)).map_or(0, |index| index as u64 + 1);
        Known(u64::from(self.generation) << 32 | number)
    }

    /// When a request that arrived at `now` may be answered; never before `now`. `None` if no rule is for it.
    pub fn plan(&mut self, known: Known, now: Nanos, request: &Request) -> Option<Nanos> {
        let index = usize::try_from(known.0 & 0xffff_ffff).ok()?.checked_sub(1)?;
        let [read, write] = self.lanes.get_mut(index)?;
        let lane = match request.direction {
            Direction::Read => read,
            Direction::Write => write,
        };
        let distance = self.arms.get_mut(index)?.travel(request);
        Some(lane.plan(now, request.bytes, distance, &mut self.random))
    }
}

/// The part of a disk's way to a file that was not the last one: the mean of two random places, a third.
const OTHER_FILE: f64 = 1.0 / 3.0;

/// Where the last request of a rule ended, and the furthest that any has.
#[derive(Debug, Clone, Copy, Default)]
struct Arm {
    file: u64,
    offset: u64,
    furthest: u64,
}

impl Arm {
    /// Moves to the end of a request; says how far its beginning was, as a part of the whole way.
    fn travel(&mut self, request: &Request) -> f64 {
        let end = request.offset.saturating_add(request.bytes);
        self.furthest = self.furthest.max(end);
        let distance = match self.file == request.file {
            true => request.offset.abs_diff(self.offset) as f64 / self.furthest.max(1) as f64,
            false => OTHER_FILE,
        };
        (self.file, self.offset) = (request.file, end);
        distance
    }
}

/// One direction of one rule.
#[derive(Debug)]
struct Lane {
    bandwidth: Option<Pace>,
    operations: Option<Pace>,
    latency: Option<Latency>,
    /// When each place in the queue is free again; empty if there is no end of places.
    slots: Vec<Nanos>,
}

impl Lane {
    fn new(limits: &Limits) -> Self {
        Lane {
            bandwidth: limits.bytes_per_second.map(|rate| Pace::with_burst(rate, limits.burst_bytes)),
            operations: limits.operations_per_second.map(Pace::new),
            latency: limits.latency,
            slots: vec![Nanos(0); limits.queue_depth.map_or(0, |depth| depth.get() as usize)],
        }
    }

    fn plan(&mut self, now: Nanos, bytes: u64, distance: f64, random: &mut Random) -> Nanos {
        let transferred = self.bandwidth.as_mut().map_or(now, |pace| pace.schedule(now, bytes));
        let admitted = self.operations.as_mut().map_or(now, |pace| pace.schedule(now, 1));
        let latency = self.latency.map_or(Nanos(0), |model| model.sample(random, distance));
        let ready = now.max(transferred).max(admitted);
        match self.slots.iter_mut().min() {
            Some(slot) => {
                *slot = ready.max(*slot).after(latency);
                *slot
            }
            None => ready.after(latency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(rules: &str) -> Throttle {
        Throttle::new(&parse_rules(rules).unwrap(), 1)
    }

    fn plan(throttle: &mut Throttle, now: u64, direction: Direction, bytes: u64) -> Option<u64> {
        let known = throttle.know(Known::default(), Path::new("swap/a"));
        throttle.plan(known, Nanos(now), &Request { file: 1, direction, offset: 0, bytes }).map(|at| at.0)
    }

    #[test]
    fn latency_overlaps_and_is_never_hidden() {
        let mut throttle = throttle("**: latency=2ms");
        for _ in 0..3 {
            assert_eq!(plan(&mut throttle, 5, Direction::Read, 4096), Some(2_000_005));
        }
    }

    #[test]
    fn a_queue_of_two_lets_two_overlap() {
        let mut throttle = throttle("**: latency=2ms, queue-depth=2");
        let at: Vec<_> = (0..4).filter_map(|_| plan(&mut throttle, 0, Direction::Read, 1)).collect();
        assert_eq!(at, [2_000_000, 2_000_000, 4_000_000, 4_000_000]);
    }

    #[test]
    fn the_tighter_limit_decides() {
        let mut throttle = throttle("**: bw=1MB, iops=100");
        assert_eq!(plan(&mut throttle, 0, Direction::Read, 1), Some(10_000_000));
        assert_eq!(plan(&mut throttle, 0, Direction::Read, 1_000_000), Some(1_000_001_000));
    }

    #[test]
    fn a_burst_is_at_once_and_no_more() {
        let mut throttle = throttle("**: bw=1MB, burst=100KB");
        assert_eq!(plan(&mut throttle, 0, Direction::Read, 100_000), Some(0));
        assert_eq!(plan(&mut throttle, 0, Direction::Read, 1000), Some(1_000_000));
    }

    #[test]
    fn directions_are_apart() {
        let mut throttle = throttle("**: read-bw=1000");
        assert_eq!(plan(&mut throttle, 3, Direction::Write, 1 << 30), Some(3));
    }

    #[test]
    fn the_first_rule_that_matches_decides_until_the_rules_change() {
        let mut throttle = throttle("swap/*: latency=1ns\n**: latency=9ns");
        let known = throttle.know(Known::default(), Path::new("swap/a"));
        let request = Request { file: 1, direction: Direction::Read, offset: 0, bytes: 1 };
        assert_eq!(throttle.plan(known, Nanos(0), &request), Some(Nanos(1)));
        let other = throttle.know(Known::default(), Path::new("swapped"));
        assert_eq!(throttle.plan(other, Nanos(0), &request), Some(Nanos(9)));
        throttle.replace(vec![]);
        assert_ne!(throttle.know(known, Path::new("swap/a")), known);
        assert_eq!(plan(&mut throttle, 0, Direction::Read, 1), None);
    }

    #[test]
    fn a_seed_gives_the_same_again() {
        let run = || {
            let mut throttle = throttle("**: latency=lognormal(2ms,0.5)");
            (0..20).map(|_| plan(&mut throttle, 0, Direction::Read, 1)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
