//! The rule language: `SELECTOR: key=value, key=value`, one rule a line (see [`Selector`]); empty lines and
//! lines that begin with `#` are comments. An error says line and column. Parsing does no I/O and ends for
//! every text.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::wrong::Wrong;
use super::{Direction, Latency, Limits, Rule, Selector, profiles};
use crate::units::{exact_bytes, parse_bytes, parse_count, parse_duration, parse_rate};

/// The most slots that a queue may have.
const DEEPEST: u32 = 65_536;

/// Why rules were refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct RuleError {
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub why: String,
}

/// Reads all rules of a text.
///
/// # Errors
/// The first line that is not a rule.
pub fn parse_rules(text: &str) -> Result<Vec<Rule>, RuleError> {
    parse_lines(text, rule)
}

pub(crate) fn parse_lines<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Vec<T>, RuleError> {
    let lines =
        text.lines().enumerate().filter(|(_, line)| !matches!(line.trim().chars().next(), None | Some('#')));
    let located = |(index, line)| {
        parse(line).map_err(|Wrong { at, why }| RuleError { line: index + 1, column: at + 1, why })
    };
    lines.map(located).collect()
}

/// A `key=value` of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) key: &'a str,
    pub(crate) key_at: usize,
    pub(crate) value: &'a str,
    pub(crate) value_at: usize,
}

/// Splits a line into its selector and its settings.
pub(crate) fn split(line: &str) -> Result<(Selector, Vec<Setting<'_>>), Wrong> {
    let colon =
        line.find(':').ok_or_else(|| Wrong::new(line.len(), "no `:`; write `GLOB: key=value, ...`"))?;
    Ok((Selector::parse(&line[..colon])?, settings(line, colon + 1)?))
}

fn settings(line: &str, from: usize) -> Result<Vec<Setting<'_>>, Wrong> {
    let mut found = Vec::new();
    let (mut start, mut depth) = (from, 0usize);
    let ends = line[from..].bytes().map(Some).chain([None]).enumerate();
    for (at, byte) in ends.map(|(i, byte)| (from + i, byte)) {
        match byte {
            Some(b'(') => depth += 1,
            Some(b')') => depth = depth.checked_sub(1).ok_or_else(|| Wrong::new(at, "`)` without `(`"))?,
            Some(b',') if depth == 0 => {
                found.push(setting(line, start, at)?);
                start = at + 1;
            }
            None if depth > 0 => return Err(Wrong::new(at, "`)` is missing")),
            None => found.push(setting(line, start, at)?),
            Some(_) => {}
        }
    }
    Ok(found)
}

fn setting(line: &str, from: usize, to: usize) -> Result<Setting<'_>, Wrong> {
    let text = &line[from..to];
    let key_at = from + (text.len() - text.trim_start().len());
    let equals = text.find('=').ok_or_else(|| Wrong::new(key_at, "`key=value` is missing here"))?;
    let value = &text[equals + 1..];
    let value_at = from + equals + 1 + (value.len() - value.trim_start().len());
    Ok(Setting { key: text[..equals].trim(), key_at, value: value.trim(), value_at })
}

fn rule(line: &str) -> Result<Rule, Wrong> {
    let (selector, settings) = split(line)?;
    let mut rule = Rule { selector, read: Limits::default(), write: Limits::default() };
    settings.into_iter().try_for_each(|setting| apply(&mut rule, setting))?;
    Ok(rule)
}

fn apply(rule: &mut Rule, setting: Setting<'_>) -> Result<(), Wrong> {
    let Setting { key, key_at, value, value_at } = setting;
    if key == "profile" {
        return apply_profile(rule, value).map_err(|why| Wrong::new(value_at, why));
    }
    let (name, directions): (_, &[Direction]) = match (key.strip_prefix("read-"), key.strip_prefix("write-"))
    {
        (Some(name @ ("bw" | "iops" | "latency")), _) => (name, &[Direction::Read]),
        (_, Some(name @ ("bw" | "iops" | "latency"))) => (name, &[Direction::Write]),
        _ => (key, &[Direction::Read, Direction::Write]),
    };
    for direction in directions {
        let limits = match direction {
            Direction::Read => &mut rule.read,
            Direction::Write => &mut rule.write,
        };
        let wrong = |why: &dyn fmt::Display| Wrong::new(value_at, why);
        match name {
            "bw" => limits.bytes_per_second = NonZeroU64::new(parse_rate(value).map_err(|e| wrong(&e))?),
            "iops" => {
                limits.operations_per_second = NonZeroU64::new(parse_count(value).map_err(|e| wrong(&e))?)
            }
            "latency" => limits.latency = Some(latency(value, value_at)?),
            "burst" => limits.burst_bytes = parse_bytes(value).map_err(|e| wrong(&e))?,
            "queue-depth" => {
                let depth = value.parse().ok().filter(|depth| *depth <= DEEPEST).and_then(NonZeroU32::new);
                limits.queue_depth =
                    Some(depth.ok_or_else(|| wrong(&format!("not a number from 1 to {DEEPEST}")))?);
            }
            _ => return Err(Wrong::new(key_at, format!("unknown key `{key}`; known are {KEYS}"))),
        }
    }
    Ok(())
}

const KEYS: &str =
    "[read-|write-]bw, [read-|write-]iops, [read-|write-]latency, burst, queue-depth and profile";

fn apply_profile(rule: &mut Rule, name: &str) -> Result<(), String> {
    let profile =
        profiles::find(name).ok_or_else(|| format!("no profile `{name}`; `swapfs profiles` lists them"))?;
    let settings =
        settings(profile.settings, 0).and_then(|all| all.into_iter().try_for_each(|s| apply(rule, s)));
    settings.map_err(|wrong| wrong.why)
}

fn latency(value: &str, at: usize) -> Result<Latency, Wrong> {
    let time = |text: &str| parse_duration(text).map_err(|error| Wrong::new(at, error));
    let Some((model, rest)) = value.split_once('(') else { return time(value).map(Latency::Fixed) };
    let two = rest.strip_suffix(')').and_then(|inside| inside.split_once(','));
    let (a, b) = two.ok_or_else(|| Wrong::new(at, format!("{model} takes two values: {model}(A,B)")))?;
    let ordered = |from: Duration, to: Duration| match from <= to {
        true => Ok((from, to)),
        false => Err(Wrong::new(at, "the first time is longer than the second")),
    };
    match model.trim() {
        "uniform" => ordered(time(a)?, time(b)?).map(|(a, b)| Latency::Uniform(a, b)),
        "seek" => ordered(time(a)?, time(b)?).map(|(a, b)| Latency::Seek(a, b)),
        "normal" => Ok(Latency::Normal(time(a)?, time(b)?)),
        "lognormal" => match b.trim().parse() {
            Ok(sigma) if (0.0..=10.0).contains(&sigma) => Ok(Latency::Lognormal(time(a)?, sigma)),
            _ => Err(Wrong::new(at, "lognormal(MEDIAN,SIGMA) takes a sigma from 0 to 10")),
        },
        other => Err(Wrong::new(
            at,
            format!("no model `{other}`; known are a time, uniform, normal, lognormal and seek"),
        )),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = Vec::new();
        for (name, limits) in [("read", &self.read), ("write", &self.write)] {
            let rate = limits.bytes_per_second.map(|rate| format!("{name}-bw={}", exact_bytes(rate.get())));
            let iops = limits.operations_per_second.map(|count| format!("{name}-iops={count}"));
            let latency = limits.latency.map(|latency| format!("{name}-latency={latency}"));
            settings.extend([rate, iops, latency].into_iter().flatten());
        }
        settings.extend(self.read.queue_depth.map(|depth| format!("queue-depth={depth}")));
        settings.push(format!("burst={}", exact_bytes(self.read.burst_bytes)));
        write!(f, "{}: {}", self.selector, settings.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, Glob};
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Rule {
        parse_rules(line).unwrap().remove(0)
    }

    #[test]
    fn rules_of_the_manual() {
        let rule = one("swap/*: read-bw=20M, iops=300, latency=lognormal(2ms,0.5), burst=64K");
        assert_eq!(rule.read.bytes_per_second, NonZeroU64::new(20 << 20));
        assert_eq!((rule.write.bytes_per_second, rule.write.burst_bytes), (None, 65_536));
        assert_eq!(rule.write.latency, Some(Latency::Lognormal(Duration::from_millis(2), 0.5)));
        assert_eq!(parse_rules("# nothing\n\n").unwrap(), []);
    }

    #[test]
    fn every_profile_is_a_rule() {
        for profile in profiles::PROFILES {
            assert!(!one(&format!("**: profile={}", profile.name)).read.is_none());
        }
    }

    #[test]
    fn errors_say_where() {
        let at = |text: &str| parse_rules(text).map_err(|error| (error.line, error.column)).unwrap_err();
        assert_eq!(at("# x\n**: bw=1M, speed=3"), (2, 12));
        assert_eq!(at("**: bw=fast"), (1, 8));
        assert_eq!(at("**: latency=uniform(1ms"), (1, 24));
        assert_eq!(at("**: bw=1M,"), (1, 11));
        assert_eq!(at("**"), (1, 3));
        assert_eq!(at(": bw=1"), (1, 1));
        assert_eq!(at("** & comm=a & user=b: bw=1"), (1, 15));
        assert_eq!(at("#\n ** & pid=me: bw=1"), (2, 11));
        assert_eq!(at("**: profile=tape"), (1, 13));
    }

    fn any_latency() -> impl Strategy<Value = Latency> {
        let time = || (0u64..10_000_000_000).prop_map(Duration::from_nanos);
        prop_oneof![
            time().prop_map(Latency::Fixed),
            (time(), time()).prop_map(|(a, b)| Latency::Uniform(a.min(b), a.max(b))),
            (time(), time()).prop_map(|(a, b)| Latency::Normal(a, b)),
            (time(), 0.0..10.0).prop_map(|(a, b)| Latency::Lognormal(a, b)),
            (time(), time()).prop_map(|(a, b)| Latency::Seek(a.min(b), a.max(b))),
        ]
    }

    fn any_limits(queue_depth: Option<NonZeroU32>, burst_bytes: u64) -> impl Strategy<Value = Limits> {
        let some = || proptest::option::of((1u64..u64::MAX).prop_map(|n| NonZeroU64::new(n).unwrap()));
        (some(), some(), proptest::option::of(any_latency())).prop_map(
            move |(bytes_per_second, operations_per_second, latency)| Limits {
                bytes_per_second,
                operations_per_second,
                latency,
                queue_depth,
                burst_bytes,
            },
        )
    }

    fn any_selector() -> impl Strategy<Value = Selector> {
        let condition = prop_oneof![
            (1u32..).prop_map(Condition::Pid),
            "[a-z*?/.=]{1,8}".prop_map(|glob| Condition::Comm(Glob::new(glob))),
            "[a-z*?/.=]{1,8}".prop_map(|glob| Condition::Cgroup(Glob::new(glob))),
        ];
        ("[a-z*?/.]{1,12}", proptest::collection::vec(condition, 0..4))
            .prop_map(|(path, conditions)| Selector { path: Glob::new(path), conditions })
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let depth = proptest::option::of((1u32..=DEEPEST).prop_map(|n| NonZeroU32::new(n).unwrap()));
        (depth, any::<u64>(), any_selector()).prop_flat_map(|(depth, burst, selector)| {
            (any_limits(depth, burst), any_limits(depth, burst)).prop_map(move |(read, write)| Rule {
                selector: selector.clone(),
                read,
                write,
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(rule in any_rule()) {
            prop_assert_eq!(one(&rule.to_string()), rule);
        }

        #[test]
        fn no_text_panics(text in "(\\PC|[\n:=,()&]){0,40}") {
            let _ = parse_rules(&text);
        }
    }
}
