//! The throttle's rules as text: read from `.swapfs/throttle`, and put in force by writing there.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::Service;
use super::answers::complaint;
use crate::faults::{FaultRule, parse_faults};
use crate::filesystem::FsError;
use crate::throttle::{Rule, RuleError, parse_rules};

/// The most bytes of rules, so that each change is one request.
const LONGEST: usize = 128 << 10;

/// Whether any rule wants to know control groups, so that they are read.
#[derive(Debug)]
pub(super) struct CgroupsWanted {
    throttle: AtomicBool,
    faults: AtomicBool,
}

impl CgroupsWanted {
    pub(super) fn new(rules: &[Rule], faults: &[FaultRule]) -> Self {
        CgroupsWanted { throttle: throttle_wants(rules).into(), faults: faults_want(faults).into() }
    }

    pub(super) fn any(&self) -> bool {
        self.throttle.load(Ordering::Relaxed) || self.faults.load(Ordering::Relaxed)
    }
}

fn throttle_wants(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| rule.selector.names_cgroups())
}

fn faults_want(rules: &[FaultRule]) -> bool {
    rules.iter().any(|rule| rule.selector.names_cgroups())
}

impl Service {
    /// Puts the rules in `data` in force, all or none; `answer` says them, or why they were refused.
    pub(super) fn set_rules(&self, answer: &RwLock<String>, data: &[u8]) -> Result<usize, FsError> {
        let done = read(data, parse_rules).map(|rules| {
            self.want_cgroups(&self.cgroups_wanted.throttle, throttle_wants(&rules));
            self.gate.replace(rules);
        });
        settle(answer, done, data, || self.gate.rules_text())
    }

    pub(super) fn faults_text(&self) -> String {
        self.faults.lock().rules().iter().map(|rule| format!("{rule}\n")).collect()
    }

    /// The same for fault rules. What hangs by old ones hangs no longer.
    pub(super) fn set_faults(&self, answer: &RwLock<String>, data: &[u8]) -> Result<usize, FsError> {
        let done = read(data, parse_faults).map(|rules| {
            self.want_cgroups(&self.cgroups_wanted.faults, faults_want(&rules));
            self.faults.lock().replace(rules);
            self.gate.end_hangs();
        });
        settle(answer, done, data, || self.faults_text())
    }

    /// Also of those who wait already: their rules are looked up anew under a lock, where nothing can be read.
    fn want_cgroups(&self, flag: &AtomicBool, wanted: bool) {
        flag.store(wanted, Ordering::Relaxed);
        if wanted {
            self.books.ledger.processes().all().iter().for_each(|process| process.learn_cgroups());
        }
    }
}

fn settle(
    answer: &RwLock<String>,
    done: Result<(), String>,
    data: &[u8],
    in_force: impl FnOnce() -> String,
) -> Result<usize, FsError> {
    let (text, outcome) = match done {
        Ok(()) => (in_force(), Ok(data.len())),
        Err(why) => (complaint(&why), Err(FsError::Invalid)),
    };
    *answer.write() = text;
    outcome
}

fn read<T>(data: &[u8], parse: impl FnOnce(&str) -> Result<T, RuleError>) -> Result<T, String> {
    if data.len() > LONGEST {
        return Err(format!("rules have at most {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(data).map_err(|_| "rules are text in UTF-8".to_owned())?;
    parse(text).map_err(|error| error.to_string())
}
