//! Faults on purpose: which requests fail, and how. Pure; random numbers come from a seeded generator.
//!
//! `SELECTOR: key=value, ...` as for the throttle; the first rule that accepts a request decides. Keys:
//! `eio=P`, `short-read=P`, `corrupt=P` (for each byte read, one bit of it is turned), `hang=TIME@pP`,
//! `enospc-after=SIZE` (of bytes written under the rule).

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::throttle::language::{parse_lines, split};
use crate::throttle::wrong::Wrong;
use crate::throttle::{Client, Direction, Nanos, Random, RuleError, Selector};
use crate::units::{exact_bytes, exact_duration, parse_bytes, parse_duration, show_count};

/// What may go wrong with a set of requests. Probabilities are from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    /// The requests.
    pub selector: Selector,
    /// That a request fails with EIO.
    pub eio: f64,
    /// That a read gives less than it could.
    pub short_read: f64,
    /// That a byte read has a wrong bit.
    pub corrupt: f64,
    /// How long a request hangs, and how probably.
    pub hang: Option<(Duration, f64)>,
    /// After so many bytes written, writes fail with ENOSPC.
    pub enospc_after_bytes: Option<u64>,
}

/// How many faults were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultCounts {
    /// Requests failed with EIO.
    pub eio: u64,
    /// Reads cut short.
    pub short_reads: u64,
    /// Bytes changed.
    pub corrupt_bytes: u64,
    /// Requests that hung.
    pub hangs: u64,
    /// Writes failed with ENOSPC.
    pub enospc: u64,
}

impl FaultCounts {
    /// Each kind of fault: its name as a label, its count, and its name in words.
    pub fn kinds(&self) -> [(&'static str, u64, &'static str); 5] {
        [
            ("eio", self.eio, "I/O errors"),
            ("short-read", self.short_reads, "short reads"),
            ("corrupt", self.corrupt_bytes, "bytes corrupted"),
            ("hang", self.hangs, "hangs"),
            ("enospc", self.enospc, "writes without space"),
        ]
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &FaultCounts) -> FaultCounts {
        let less = |of: fn(&FaultCounts) -> u64| of(self).saturating_sub(of(earlier));
        FaultCounts {
            eio: less(|c| c.eio),
            short_reads: less(|c| c.short_reads),
            corrupt_bytes: less(|c| c.corrupt_bytes),
            hangs: less(|c| c.hangs),
            enospc: less(|c| c.enospc),
        }
    }

    /// Those that there were, in words: `3 I/O errors, 1 hangs`.
    pub fn in_words(&self) -> Option<String> {
        let made = self.kinds().into_iter().filter(|(_, count, _)| *count > 0);
        let words: Vec<String> =
            made.map(|(_, count, name)| format!("{} {name}", show_count(count))).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// With EIO.
    Io,
    /// With ENOSPC.
    NoSpace,
}

/// What is to happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Instead of being done, it fails.
    pub failure: Option<Failure>,
    /// Its answer comes so much later.
    pub hang: Nanos,
    /// It reads at most so much.
    pub most_bytes: Option<usize>,
    rule: Option<usize>,
}

impl Verdict {
    /// Whether any rule is for the file.
    pub fn is_by_a_rule(&self) -> bool {
        self.rule.is_some()
    }
}

/// All fault rules of a mount, and what they did.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<FaultRule>,
    /// Bytes written under each rule.
    written: Vec<u64>,
    counts: FaultCounts,
    random: Random,
}

impl Faults {
    /// Faults by these rules, none made yet. All that is random follows from `seed`.
    pub fn new(rules: Vec<FaultRule>, seed: u64) -> Self {
        let written = vec![0; rules.len()];
        Faults { rules, written, counts: FaultCounts::default(), random: Random::new(seed) }
    }

    /// Puts other rules in force. Counts and random numbers go on.
    pub fn replace(&mut self, rules: Vec<FaultRule>) {
        self.written = vec![0; rules.len()];
        self.rules = rules;
    }

    /// The rules in force, first to last.
    pub fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// How many faults were made.
    pub fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// Begins to count anew. Random numbers, and what `enospc-after` counts, go on.
    pub fn reset_counts(&mut self) {
        self.counts = FaultCounts::default();
    }

    /// Decides about a request of `client` for `bytes` of the file with this visible path.
    pub fn judge(&mut self, path: &Path, client: &Client<'_>, direction: Direction, bytes: usize) -> Verdict {
        let path = path.as_os_str().as_bytes();
        let accepts = |rule: &FaultRule| rule.selector.path.holds(path) && rule.selector.accepts(client);
        let Some(index) = self.rules.iter().position(accepts) else { return Verdict::default() };
        let rule = &self.rules[index];
        let mut verdict = Verdict { rule: Some(index), ..Verdict::default() };
        if let Some((time, probability)) = rule.hang
            && self.random.unit() < probability
        {
            verdict.hang = time.into();
            self.counts.hangs += 1;
        }
        if self.random.unit() < rule.eio {
            verdict.failure = Some(Failure::Io);
            self.counts.eio += 1;
            return verdict;
        }
        match direction {
            Direction::Write => {
                let written = self.written[index].saturating_add(bytes as u64);
                if rule.enospc_after_bytes.is_some_and(|most| written > most) {
                    verdict.failure = Some(Failure::NoSpace);
                    self.counts.enospc += 1;
                } else {
                    self.written[index] = written;
                }
            }
            Direction::Read if bytes > 1 && self.random.unit() < rule.short_read => {
                verdict.most_bytes = Some(1 + (self.random.unit() * (bytes - 1) as f64) as usize);
                self.counts.short_reads += 1;
            }
            Direction::Read => {}
        }
        verdict
    }

    /// Turns bits of what was read, as the verdict's rule has it. Skips from one fault to the next (geometric
    /// gaps), so that it costs by the fault and not by the byte.
    pub fn corrupt(&mut self, verdict: &Verdict, data: &mut [u8]) {
        let probability =
            verdict.rule.and_then(|index| self.rules.get(index)).map_or(0.0, |rule| rule.corrupt);
        if probability <= 0.0 {
            return;
        }
        let mut at = 0usize;
        loop {
            let gap = match probability < 1.0 {
                true => (1.0 - self.random.unit()).ln() / (-probability).ln_1p(),
                false => 0.0,
            };
            at = at.saturating_add(gap as usize);
            let Some(byte) = data.get_mut(at) else { return };
            *byte ^= 1 << (self.random.bits() >> 61);
            self.counts.corrupt_bytes += 1;
            at += 1;
        }
    }
}

/// Reads all fault rules of a text.
///
/// # Errors
/// The first line that is not a rule.
pub fn parse_faults(text: &str) -> Result<Vec<FaultRule>, RuleError> {
    parse_lines(text, fault_rule)
}

fn fault_rule(line: &str) -> Result<FaultRule, Wrong> {
    let (selector, settings) = split(line)?;
    let mut rule =
        FaultRule { selector, eio: 0.0, short_read: 0.0, corrupt: 0.0, hang: None, enospc_after_bytes: None };
    for setting in settings {
        let wrong = |why: &dyn fmt::Display| Wrong::new(setting.value_at, why);
        let probability = |text| probability(text).map_err(|why| wrong(&why));
        match setting.key {
            "eio" => rule.eio = probability(setting.value)?,
            "short-read" => rule.short_read = probability(setting.value)?,
            "corrupt" => rule.corrupt = probability(setting.value)?,
            "enospc-after" => {
                rule.enospc_after_bytes = Some(parse_bytes(setting.value).map_err(|e| wrong(&e))?)
            }
            "hang" => {
                let parts = setting.value.split_once("@p");
                let (time, part) =
                    parts.ok_or_else(|| wrong(&"write TIME@pPROBABILITY, such as 10s@p0.001"))?;
                rule.hang = Some((parse_duration(time).map_err(|e| wrong(&e))?, probability(part)?));
            }
            key => {
                let known = "eio, short-read, corrupt, enospc-after and hang";
                return Err(Wrong::new(setting.key_at, format!("unknown key `{key}`; known are {known}")));
            }
        }
    }
    Ok(rule)
}

fn probability(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(probability),
        _ => Err("not a probability; write a number from 0 to 1, such as 0.001 or 1e-3"),
    }
}

impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FaultRule { selector, eio, short_read, corrupt, hang, enospc_after_bytes } = self;
        write!(f, "{selector}: eio={eio}, short-read={short_read}, corrupt={corrupt}")?;
        if let Some((time, probability)) = hang {
            write!(f, ", hang={}@p{probability}", exact_duration(*time))?;
        }
        enospc_after_bytes.map_or(Ok(()), |bytes| write!(f, ", enospc-after={}", exact_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANYBODY: Client<'_> = Client { pid: 1, comm: "a", cgroups: &[] };

    fn faults(rules: &str) -> Faults {
        Faults::new(parse_faults(rules).unwrap(), 3)
    }

    #[test]
    fn failures_come_as_often_as_asked() {
        let mut faults = faults("swap/*: eio=0.1, short-read=0.2");
        for _ in 0..10_000 {
            let _ = faults.judge(Path::new("swap/a"), &ANYBODY, Direction::Read, 4096);
            assert_eq!(
                faults.judge(Path::new("images/a"), &ANYBODY, Direction::Read, 4096),
                Verdict::default()
            );
        }
        let FaultCounts { eio, short_reads, .. } = faults.counts();
        assert!((900..1100).contains(&eio) && (1650..1950).contains(&short_reads), "{eio} {short_reads}");
    }

    #[test]
    fn bytes_are_corrupted_as_often_as_asked() {
        let mut faults = faults("**: corrupt=0.001");
        let verdict = faults.judge(Path::new("a"), &ANYBODY, Direction::Read, 1 << 20);
        let mut data = vec![0; 1 << 20];
        faults.corrupt(&verdict, &mut data);
        let wrong = data.iter().filter(|byte| **byte != 0).count() as u64;
        assert_eq!(wrong, faults.counts().corrupt_bytes);
        assert!((900..1200).contains(&wrong), "{wrong}");
    }

    #[test]
    fn space_ends_after_what_was_allowed() {
        let mut faults = faults("**: enospc-after=8K");
        let mut write = || faults.judge(Path::new("a"), &ANYBODY, Direction::Write, 4096).failure;
        assert_eq!([write(), write(), write()], [None, None, Some(Failure::NoSpace)]);
    }

    #[test]
    fn only_who_is_meant_is_hit() {
        let mut faults = faults("** & comm=a: eio=1");
        let mut failure =
            |client: &Client<'_>| faults.judge(Path::new("x"), client, Direction::Read, 1).failure;
        assert_eq!(failure(&ANYBODY), Some(Failure::Io));
        assert_eq!(failure(&Client { comm: "b", ..ANYBODY }), None);
    }

    #[test]
    fn errors_say_where() {
        let error = parse_faults("**: eio=2").unwrap_err();
        assert_eq!((error.line, error.column), (1, 9));
        assert!(parse_faults("**: hang=3s").is_err() && parse_faults("**: bw=1").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(p in 0.0..1.0f64, ns in 0u64..1 << 50, bytes in proptest::option::of(any::<u64>())) {
            let hang = Some((Duration::from_nanos(ns), p));
            let selector = Selector::of_path("swap/*");
            let rule = FaultRule { selector, eio: p, short_read: p / 3.0, corrupt: p * p, hang, enospc_after_bytes: bytes };
            prop_assert_eq!(parse_faults(&rule.to_string()).unwrap(), [rule]);
        }

        #[test]
        fn no_text_panics(text in "(\\PC|[\n:=,()@&]){0,40}") {
            let _ = parse_faults(&text);
        }
    }
}
