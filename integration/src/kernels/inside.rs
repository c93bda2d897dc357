//! What runs inside a machine: every case natively and under the pager, told line by line.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::case::{self, Case, Command};
use crate::binaries;
use crate::differential::Setting;
use crate::paged::Paging;
use crate::places::{self, DEEDS};
use crate::run::{End, Outcome, Run};
use crate::scratch::Scratch;

/// Cases that are compared beside each other: one for each processor of the machine.
const WORKERS: usize = 2;
const NATIVE_LIMIT: Duration = Duration::from_secs(300);
const PAGED_LIMIT: Duration = Duration::from_secs(900);
/// What the pager ends with where a kernel lacks what it needs.
const REFUSED: i32 = 1;

/// What the doctor says about the kernel.
struct Doctor {
    told: Value,
}

/// Tells on standard output what the doctor finds, how each case compares, and that this was all.
///
/// `only` names the cases to compare; all where it is empty.
pub fn run(only: &[String]) {
    let doctor = Doctor::ask();
    tell(&json!({ "doctor": doctor.told }));
    let mut cases = case::all();
    cases.retain(|case| only.is_empty() || only.iter().any(|name| name == case.name));
    if !doctor.can_run() {
        // One refusal is like another.
        cases.truncate(1);
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    compare(case, &doctor);
                }
            });
        }
    });
    tell(&json!({ "end": true }));
}

fn tell(value: &Value) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to be told where this fails.
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

impl Doctor {
    fn ask() -> Doctor {
        let outcome = Run::new(binaries::pager()).args(["doctor", "--json"]).limit(NATIVE_LIMIT).outcome();
        let told = serde_json::from_slice(&outcome.stdout);
        Doctor {
            told: told
                .unwrap_or_else(|error| json!({ "error": format!("{error}: {}", outcome.complaint()) })),
        }
    }

    fn can_run(&self) -> bool {
        self.told["can_run"] == true
    }

    fn has(&self, name: &str) -> bool {
        let mut features = self.told["features"].as_array().into_iter().flatten();
        features.any(|feature| feature["name"] == name && feature["present"] == true)
    }

    /// Whether this is what the doctor says of `--engine thread` where a page cannot be poisoned: it ends the
    /// program over one that cannot be read.
    fn ends_over_a_page(&self, setting: &Setting, paged: &Outcome) -> bool {
        let said = paged.complaint().contains("before Linux 6.6 --engine thread cannot tell the program");
        setting.engine == "thread" && !self.has("userfaultfd_poison") && paged.end == End::Signal(9) && said
    }

    /// The features that `setting` needs and this kernel lacks.
    fn lacks(&self, setting: &Setting) -> Vec<String> {
        let features = self.told["features"].as_array().into_iter().flatten();
        let needed = |feature: &&Value| {
            let required = feature["need"] == "required";
            required || setting.engine == "sigsegv" && feature["name"] == "guard_anonymous"
        };
        let missing = features.filter(needed).filter(|feature| feature["present"] != true);
        missing.filter_map(|feature| feature["name"].as_str().map(str::to_owned)).collect()
    }
}

fn compare(case: &Case, doctor: &Doctor) {
    if !case.command.is_installed() {
        return tell(&json!({ "case": case.name, "verdict": "missing" }));
    }
    let begin = Instant::now();
    if let Some(checked) = as_told(case, doctor) {
        let (verdict, detail) =
            checked.map_or_else(|detail| ("different", detail), |()| ("same", String::new()));
        let seconds = HashMap::from([("all", begin.elapsed().as_secs_f64())]);
        return tell(&json!({ "case": case.name, "verdict": verdict, "detail": detail, "seconds": seconds }));
    }
    let native =
        in_folder(|folder| prepared(case, Run::new(program(case)), folder).limit(NATIVE_LIMIT).outcome());
    if matches!(native.end, End::Overdue | End::Code(99 | 126 | 127)) {
        let detail = format!("natively: {:?}: {}", native.end, last_line(&native));
        return tell(&json!({ "case": case.name, "verdict": "different", "detail": detail }));
    }
    let mut seconds = HashMap::from([("native".to_owned(), begin.elapsed().as_secs_f64())]);
    let (mut refused, mut different) = (Vec::new(), Vec::new());
    for setting in case.command.settings() {
        let begin = Instant::now();
        let paged = in_folder(|folder| {
            let paging: Paging = setting.paging();
            paging.run(program(case), |run| prepared(case, run, folder).limit(PAGED_LIMIT)).outcome
        });
        seconds.insert(setting.to_string(), begin.elapsed().as_secs_f64());
        let lacks = doctor.lacks(&setting);
        match difference(&native, &paged, &lacks) {
            Some(_) if doctor.ends_over_a_page(&setting, &paged) => refused.push(setting.to_string()),
            Some(difference) => different.push(format!("{setting}: {difference}")),
            None if lacks.is_empty() => {}
            None => refused.push(setting.to_string()),
        }
    }
    let verdict = match (different.is_empty(), refused.is_empty()) {
        (false, _) => "different",
        (true, false) => "refused",
        (true, true) => "same",
    };
    let detail = different.join("; ");
    tell(
        &json!({ "case": case.name, "verdict": verdict, "detail": detail, "refused": refused, "seconds": seconds }),
    );
}

/// Whether it is as the table of containers tells; nothing where `case` is not of that table.
fn as_told(case: &Case, doctor: &Doctor) -> Option<Result<(), String>> {
    let (pager, places) = (binaries::pager(), places::all(&program_of("forbidding")));
    match case.command {
        Command::Place(at) => Some(places[at].check(&pager)),
        Command::Deed(at) => Some(DEEDS[at].check(&places, &pager, !doctor.has("guard_anonymous"))),
        Command::Shell { .. } | Command::Guest(..) => None,
    }
}

fn in_folder(run: impl FnOnce(&Scratch) -> Outcome) -> Outcome {
    run(&Scratch::new("case"))
}

fn program(case: &Case) -> PathBuf {
    match case.command {
        Command::Guest(name, _) => program_of(name),
        Command::Shell { .. } | Command::Place(_) | Command::Deed(_) => PathBuf::from("/bin/sh"),
    }
}

fn program_of(guest: &str) -> PathBuf {
    binaries::folder().join("guests").join(guest)
}

fn prepared(case: &Case, run: Run, folder: &Scratch) -> Run {
    let run = match case.command {
        Command::Shell { line, .. } => run.args(["-c", line]),
        Command::Guest(_, argument) => run.args(argument),
        Command::Place(_) | Command::Deed(_) => run,
    };
    let run = run.env("GUEST_WORD", "a word").env("GUEST_EMPTY", "").env("PYTHONDONTWRITEBYTECODE", "1");
    run.folder(folder.path())
}

/// How a paged run differs from the native one; on a kernel that lacks something, from the refusal that names
/// it.
fn difference(native: &Outcome, paged: &Outcome, lacks: &[String]) -> Option<String> {
    if !lacks.is_empty() {
        let named = lacks.iter().any(|name| paged.complaint().contains(name.as_str()));
        let refused = paged.end == End::Code(REFUSED) && named;
        return (!refused)
            .then(|| format!("{:?} and no refusal that names {lacks:?}: {}", paged.end, last_line(paged)));
    }
    if paged.end != native.end {
        return Some(format!("{:?} and not {:?}: {}", paged.end, native.end, last_line(paged)));
    }
    if paged.stdout != native.stdout {
        let (one, other) = (String::from_utf8_lossy(&native.stdout), String::from_utf8_lossy(&paged.stdout));
        let pair = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        return Some(format!("output differs: {pair:?}"));
    }
    None
}

/// What a program complained of last, or the pager before its report.
fn last_line(outcome: &Outcome) -> String {
    let words = outcome.complaint();
    let line =
        words.lines().find(|line| line.starts_with("pager")).or(words.lines().last()).unwrap_or_default();
    line.chars().take(200).collect()
}
