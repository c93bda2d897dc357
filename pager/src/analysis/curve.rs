//! `pager mrc` and `pager sim`: faults against cap and policy, from one recorded run.

use std::collections::BTreeMap;
use std::path::Path;

use pager_core::simulator::policies::PolicyName;
use pager_core::simulator::stack::Distances;
use pager_core::simulator::{Memory, Misses, Step, Steps, optimum};
use pager_core::trace::FaultKind;
use serde::Serialize;

use super::caps::Caps;
use super::cost::Costs;
use super::plot::bar;
use crate::cli::{CurveArgs, CurvePolicy};
use crate::say;
use crate::size::ByteSize;
use crate::trace::reader::{Trace, TraceError};

/// A trace with what is computed from it once.
pub struct Recording {
    /// What happened.
    pub steps: Vec<Step>,
    /// What faults cost.
    pub costs: Costs,
    /// Cap under which it was recorded, in pages.
    pub cap_pages: Option<u64>,
    distances: Distances,
    /// Misses with room for everything: first touches.
    cold: [u64; 5],
    /// By how many the live policy's simulated misses beyond those are to be multiplied; see
    /// [`Recording::calibrate`].
    factor: f64,
    program: String,
}

/// Faults at one cap.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Point {
    /// The cap.
    pub cap_bytes: u64,
    /// Pages missed, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Sum of those but protection faults.
    pub misses: u64,
    /// Pages that left to make room.
    pub evicted: u64,
    /// What the run would take.
    pub estimated_ns: u64,
}

/// The answer as data. JSON keys stay as they are.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Curves {
    /// Path of the program.
    pub program: String,
    /// Cap of the recorded run; `None` without one.
    pub recorded_cap_bytes: Option<u64>,
    /// What has to fit for no page to come in twice.
    pub working_set_bytes: u64,
    /// Misses of the recorded run.
    pub recorded_misses: u64,
    /// What the recorded run took.
    pub recorded_ns: u64,
    /// Threads that missed pages.
    pub threads: usize,
    /// By policy, ascending caps.
    pub policies: BTreeMap<String, Vec<Point>>,
}

impl Recording {
    /// Reads `path`, and says on standard error what is not whole.
    ///
    /// # Errors
    ///
    /// If there is no trace.
    pub fn open(path: &Path) -> Result<Recording, TraceError> {
        let trace = Trace::open(path)?;
        trace.complain(path);
        Ok(Recording::of(&trace))
    }

    /// What `trace` tells.
    pub fn of(trace: &Trace) -> Recording {
        let last_ns = trace.events().map(|event| event.time_ns).max().unwrap_or(0);
        let told = trace.end.as_ref().and_then(|end| end.report.get("elapsed_ns")?.as_u64());
        let steps = Steps::all(trace.events());
        let recording = Recording {
            distances: Distances::of(&steps),
            cold: Memory::run(PolicyName::Lru, usize::MAX, &steps).by_kind,
            factor: 1.0,
            costs: Costs::of(trace.events(), told.unwrap_or(last_ns)),
            cap_pages: trace.description.cap_pages,
            program: trace.description.program.clone(),
            steps,
        };
        recording.calibrate()
    }

    /// Compares the live policy's simulated misses at the recorded cap with those that were recorded there.
    /// The simulated ones are fewer: where the simulator keeps a page that the live pager let go (another
    /// thread ran, a page was pinned), it sees a hit, but never the miss that it should have had in return.
    /// At larger caps the same share is taken to be missing.
    fn calibrate(mut self) -> Recording {
        let Some(cap) = self.cap_pages else { return self };
        let cold = |by_kind: &[u64; 5]| of_misses(by_kind).saturating_sub(of_misses(&self.cold));
        let simulated = cold(&Memory::run(PolicyName::TwoQueue, cap as usize, &self.steps).by_kind);
        if simulated > 0 {
            self.factor = cold(&self.costs.faults) as f64 / simulated as f64;
        }
        self
    }

    /// Pages that have to fit for none to come in twice.
    pub fn working_set(&self) -> u64 {
        self.distances.working_set() as u64
    }

    /// What the steps cost under `policy` with `cap` pages.
    pub fn misses(&self, policy: CurvePolicy, cap: u64) -> Misses {
        match policy {
            CurvePolicy::Live(PolicyName::TwoQueue) => {
                self.scaled(Memory::run(PolicyName::TwoQueue, cap as usize, &self.steps))
            }
            CurvePolicy::Live(policy) => Memory::run(policy, cap as usize, &self.steps),
            CurvePolicy::Opt | CurvePolicy::All => optimum::run(cap as usize, &self.steps),
        }
    }

    fn scaled(&self, mut misses: Misses) -> Misses {
        for (count, &cold) in misses.by_kind.iter_mut().zip(&self.cold) {
            *count = cold.min(*count) + (count.saturating_sub(cold) as f64 * self.factor).round() as u64;
        }
        misses
    }

    fn point(&self, policy: CurvePolicy, cap: u64) -> Point {
        let misses = self.misses(policy, cap);
        Point {
            cap_bytes: ByteSize::of_pages(cap).0,
            faults: FaultKind::ALL.map(|kind| (kind.name(), misses.by_kind[kind as usize])).into(),
            misses: misses.total(),
            evicted: misses.evicted,
            estimated_ns: self.costs.elapsed_with(&misses),
        }
    }

    /// Misses and times at `caps` under each of `policies`.
    pub fn curves(&self, policies: &[CurvePolicy], caps: &[u64]) -> Curves {
        let curve = |policy: CurvePolicy| caps.iter().map(|&cap| self.point(policy, cap)).collect();
        Curves {
            program: self.program.clone(),
            recorded_cap_bytes: self.cap_pages.map(|pages| ByteSize::of_pages(pages).0),
            working_set_bytes: ByteSize::of_pages(self.working_set()).0,
            recorded_misses: of_misses(&self.costs.faults),
            recorded_ns: self.costs.elapsed_ns,
            threads: self.costs.threads,
            policies: policies.iter().map(|&policy| (policy.name().to_owned(), curve(policy))).collect(),
        }
    }
}

/// Faults on pages that were not in memory.
fn of_misses(by_kind: &[u64; 5]) -> u64 {
    FaultKind::ALL.iter().filter(|kind| kind.is_miss()).map(|&kind| by_kind[kind as usize]).sum()
}

/// Prints faults against cap for the policies asked for.
///
/// # Errors
///
/// If there is no trace.
pub fn curve(args: &CurveArgs) -> Result<(), TraceError> {
    let recording = Recording::open(&args.file)?;
    let least = recording.cap_pages.unwrap_or(u64::MAX);
    let asked = Caps::all(&args.cap, recording.working_set());
    let caps: Vec<u64> = asked.iter().copied().filter(|&cap| cap >= least).collect();
    if recording.cap_pages.is_none() {
        say::line(format_args!(
            "{}: recorded without a cap, so no page came in twice and there is nothing to tell about smaller caps; record at a small one: \
             pager run --resident 4M --record FILE -- PROGRAM",
            args.file.display()
        ));
    } else if caps.len() < asked.len() {
        say::line(format_args!(
            "{} caps under {} are left out: the recording was made at that cap and says nothing about less",
            asked.len() - caps.len(),
            ByteSize::of_pages(least)
        ));
    }
    let curves = recording.curves(&policies(&args.policy), &caps);
    if args.json {
        let mut text = serde_json::to_string(&curves).unwrap_or_default();
        text.push('\n');
        say::to_stdout(&text);
    } else {
        say::to_stdout(&render(&curves));
    }
    Ok(())
}

fn policies(asked: &[CurvePolicy]) -> Vec<CurvePolicy> {
    asked.iter().flat_map(|policy| policy.expand()).collect()
}

/// A table of misses with a column for each policy, and a plot of the live one's.
fn render(curves: &Curves) -> String {
    let mut text = format!(
        "{}: {} misses at {}, {} of memory hold all that it uses again\n",
        curves.program,
        curves.recorded_misses,
        curves.recorded_cap_bytes.map_or("no cap".to_owned(), |cap| ByteSize(cap).to_string()),
        ByteSize(curves.working_set_bytes)
    );
    let order = |name: &String| {
        PolicyName::ALL.iter().position(|policy| policy.as_str() == name).unwrap_or(usize::MAX)
    };
    let mut names: Vec<&String> = curves.policies.keys().collect();
    names.sort_by_key(|name| order(name));
    text += &format!("{:>10} {:>5}", "cap", "part");
    names.iter().for_each(|name| text += &format!(" {name:>9}"));
    let main =
        names.iter().copied().find(|name| *name == PolicyName::TwoQueue.as_str()).or(names.first().copied());
    let Some(main) = main.and_then(|name| Some((name, curves.policies.get(name)?))) else {
        return text + "\n";
    };
    text += &format!("  {:>9}  misses under {}\n", "time", main.0);
    let most = main.1.iter().map(|point| point.misses).max().unwrap_or(0);
    for (at, point) in main.1.iter().enumerate() {
        let part = (point.cap_bytes * 100).checked_div(curves.working_set_bytes).unwrap_or(0);
        text += &format!("{:>10} {:>4}%", ByteSize(point.cap_bytes).to_string(), part);
        for name in &names {
            let misses = curves.policies[*name].get(at).map_or(0, |point| point.misses);
            text += &format!(" {misses:>9}");
        }
        let seconds = point.estimated_ns as f64 / 1e9;
        text += &format!("  {seconds:>7.2} s  {}\n", bar(point.misses, most, 30));
    }
    if curves.threads > 1 {
        text += &format!("{} threads missed pages: the times are a guess\n", curves.threads);
    }
    text
}
