//! How long each request has to wait. Pure: time is an argument, nothing sleeps here.
//!
//! A [`Throttle`] is a list of rules; the first one whose scope holds a file's visible path decides. Each rule has limits for
//! reads and for writes, shared by all files that it matches. [`crate::delay`] does the waiting.

mod pace;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use pace::{IDLE_CREDIT, Pace};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes a second.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Requests a second.
    pub operations_per_second: Option<NonZeroU64>,
    /// Added to each request.
    pub latency: Duration,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// Which files a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All files.
    Everything,
    /// This visible path and all below it.
    Below(PathBuf),
}

impl Scope {
    fn holds(&self, path: &Path) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Below(top) => path.starts_with(top),
        }
    }
}

/// Limits for a set of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The files.
    pub scope: Scope,
    /// Limits of reading.
    pub read: Limits,
    /// Limits of writing.
    pub write: Limits,
}

/// The rule that a file falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleIndex(usize);

/// All rules of a mount, and how far each has been used.
#[derive(Debug)]
pub struct Throttle {
    rules: Vec<ActiveRule>,
}

#[derive(Debug)]
struct ActiveRule {
    scope: Scope,
    read: Lane,
    write: Lane,
}

impl Throttle {
    /// A throttle with these rules, nothing used yet.
    pub fn new(rules: &[Rule]) -> Self {
        let active = |rule: &Rule| ActiveRule {
            scope: rule.scope.clone(),
            read: Lane::new(&rule.read),
            write: Lane::new(&rule.write),
        };
        Throttle { rules: rules.iter().map(active).collect() }
    }

    /// The first rule for the file with this visible path.
    pub fn rule_for(&self, path: &Path) -> Option<RuleIndex> {
        self.rules.iter().position(|rule| rule.scope.holds(path)).map(RuleIndex)
    }

    /// When a request for `bytes` that arrived at `now` may be answered; never before `now`.
    pub fn plan(&mut self, rule: RuleIndex, now: Nanos, direction: Direction, bytes: u64) -> Nanos {
        let rule = &mut self.rules[rule.0];
        match direction {
            Direction::Read => rule.read.plan(now, bytes),
            Direction::Write => rule.write.plan(now, bytes),
        }
    }
}

/// One direction of one rule.
#[derive(Debug)]
struct Lane {
    bandwidth: Option<Pace>,
    operations: Option<Pace>,
    latency: Nanos,
}

impl Lane {
    fn new(limits: &Limits) -> Self {
        Lane {
            bandwidth: limits.bytes_per_second.map(Pace::new),
            operations: limits.operations_per_second.map(Pace::new),
            latency: limits.latency.into(),
        }
    }

    fn plan(&mut self, now: Nanos, bytes: u64) -> Nanos {
        let transferred = self.bandwidth.as_mut().map_or(now, |pace| pace.schedule(now, bytes));
        let admitted = self.operations.as_mut().map_or(now, |pace| pace.schedule(now, 1));
        now.max(transferred).max(admitted).after(self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(bytes: u64, operations: u64, latency_ms: u64) -> Limits {
        Limits {
            bytes_per_second: NonZeroU64::new(bytes),
            operations_per_second: NonZeroU64::new(operations),
            latency: Duration::from_millis(latency_ms),
        }
    }

    fn everything(read: Limits) -> Throttle {
        Throttle::new(&[Rule { scope: Scope::Everything, read, write: Limits::default() }])
    }

    #[test]
    fn latency_overlaps_and_is_never_hidden() {
        let mut throttle = everything(limits(0, 0, 2));
        let rule = throttle.rule_for(Path::new("swap/a")).unwrap();
        for _ in 0..3 {
            assert_eq!(throttle.plan(rule, Nanos(5), Direction::Read, 4096), Nanos(2_000_005));
        }
    }

    #[test]
    fn the_tighter_limit_decides() {
        let mut throttle = everything(limits(1_000_000, 100, 0));
        let rule = throttle.rule_for(Path::new("x")).unwrap();
        assert_eq!(throttle.plan(rule, Nanos(0), Direction::Read, 1), Nanos(10_000_000));
        assert_eq!(throttle.plan(rule, Nanos(0), Direction::Read, 1_000_000), Nanos(1_000_001_000));
    }

    #[test]
    fn directions_are_apart() {
        let mut throttle = everything(limits(1000, 0, 0));
        let rule = throttle.rule_for(Path::new("x")).unwrap();
        assert_eq!(throttle.plan(rule, Nanos(3), Direction::Write, 1 << 30), Nanos(3));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let swap = Rule { scope: Scope::Below("swap".into()), read: limits(0, 0, 1), write: limits(0, 0, 1) };
        let rest = Rule { scope: Scope::Everything, read: limits(0, 0, 9), write: limits(0, 0, 9) };
        let throttle = Throttle::new(&[swap, rest]);
        assert_eq!(throttle.rule_for(Path::new("swap/a")), Some(RuleIndex(0)));
        assert_eq!(throttle.rule_for(Path::new("swapped")), Some(RuleIndex(1)));
        assert_eq!(Throttle::new(&[]).rule_for(Path::new("swap/a")), None);
    }
}
