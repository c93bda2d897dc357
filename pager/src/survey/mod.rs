//! A recorded run, summed up in two passes over its trace: what `pager report` shows.
//!
//! | module | owns |
//! |---|---|
//! | [`model`] | the sums as data |
//! | `scan` | the first pass: how long the run was, who was in it, what was touched |
//! | `gather` | the second: all that is counted by time, place, file and instruction |
//! | [`replay`] | the state of each process while its events go by |
//! | [`names`] | what processes and files are called |
//! | `layout`, `pages` | what is mapped where; what is resident |
//!
//! Memory grows with what was touched and with distinct instructions, not with events.

mod culprits;
mod gather;
mod heat;
mod images;
mod latency;
mod layout;
pub mod model;
pub mod names;
mod pages;
pub mod replay;
#[cfg(test)]
#[allow(missing_docs)]
pub mod samples;
mod scan;
mod series;

use pager_core::trace::FaultKind;

use crate::analysis::curve::Recording;
use crate::cli::CurvePolicy;
use crate::symbols::Symbols;
use crate::trace::reader::Trace;
use gather::Gather;
use model::{COLUMNS, Process, SCHEMA_VERSION, Survey};
use names::Names;
use scan::{Scan, Seen};

/// Processes that are shown one by one.
const PROCESSES: usize = 32;
/// Longest trace for which other caps are simulated: a report is written within a minute.
const SIMULATED: u64 = 2_000_000;
/// Caps that are simulated.
const CAPS: u64 = 10;

/// Sums `trace` up.
pub fn survey(trace: &Trace) -> Survey {
    let scan = Scan::of(trace.events());
    let told = trace.end.as_ref().and_then(|end| end.report.get("elapsed_ns")?.as_u64());
    let elapsed_ns = told.unwrap_or(0).max(scan.last_ns).max(1);
    let names = Names::of(trace);
    let shown = shown(&scan);
    let mut gather = Gather::new(&scan, &shown, elapsed_ns, &names);
    trace.events().for_each(|event| gather.step(&event));
    let gathered = gather.finish();
    let mut series = gathered.series;
    let mut heats = gathered.heats;
    let processes = shown.iter().map(|&number| Process {
        program: names.program(scan.processes[number].pid),
        resident_peak_pages: gathered.peaks.get(&number).copied().unwrap_or(0),
        series: series.remove(&number).unwrap_or_default(),
        heat: heats.remove(&number),
        ..of(&scan.processes[number])
    });
    let culprits = culprits::name(gathered.sites, &scan, &names, &mut Symbols::default());
    Survey {
        schema_version: SCHEMA_VERSION,
        program: trace.description.program.clone(),
        arguments: trace.description.arguments.clone(),
        cap_pages: trace.description.cap_pages,
        page_bytes: trace.description.page_bytes,
        started_unix_ns: trace.description.started_unix_ns,
        elapsed_ns,
        events: scan.events,
        dropped: trace.dropped(),
        warnings: warnings(trace, scan.events, culprits.warning),
        kinds: FaultKind::ALL.map(FaultKind::name).to_vec(),
        column_ns: (elapsed_ns / COLUMNS as u64).max(1),
        all: gathered.all,
        processes: processes.collect(),
        processes_left_out: (scan.processes.len() - shown.len()) as u64,
        images: gathered.images,
        latency: gathered.latency,
        functions: culprits.functions,
        lines: culprits.lines,
        stacks: culprits.stacks,
        ahead: gathered.ahead,
        curve: curve(trace, scan.events),
    }
}

/// The processes with the most faults, in order of appearance.
fn shown(scan: &Scan) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..scan.processes.len()).collect();
    numbers.sort_by_key(|&number| std::cmp::Reverse(scan.processes[number].tally.count()));
    numbers.truncate(PROCESSES);
    numbers.sort_unstable();
    numbers
}

fn of(seen: &Seen) -> Process {
    Process {
        pid: seen.pid,
        parent: seen.parent,
        program: String::new(),
        first_ns: seen.first_ns,
        last_ns: seen.last_ns,
        threads: seen.threads.len() as u64,
        tally: seen.tally,
        resident_peak_pages: 0,
        series: model::Series::default(),
        heat: None,
    }
}

fn warnings(trace: &Trace, events: u64, of_names: Option<String>) -> Vec<String> {
    let dropped = trace.dropped();
    let is_long = trace.description.cap_pages.is_some() && events > SIMULATED;
    let no_curve = is_long.then(|| {
        format!("a trace of more than {SIMULATED} events: misses at other caps are left to `pager mrc`")
    });
    let missing = (dropped > 0).then(|| format!("{dropped} events are missing: sums are too small"));
    trace.damage.iter().cloned().chain(missing).chain(no_curve).chain(of_names).collect()
}

/// Misses against cap, where they can be simulated in the time that a report may take.
fn curve(trace: &Trace, events: u64) -> Option<crate::analysis::curve::Curves> {
    let cap = trace.description.cap_pages.filter(|_| events <= SIMULATED)?;
    let policies = match events {
        0..1_000_000 => vec![CurvePolicy::live(), CurvePolicy::LRU, CurvePolicy::Opt],
        _ => vec![CurvePolicy::live()],
    };
    let recording = Recording::of(trace);
    let most = recording.working_set().max(cap + 1);
    // Caps grow by equal factors: half the memory is as interesting at 4M as at 4G.
    let ratio = most as f64 / cap.max(1) as f64;
    let at = |step: u64| (cap as f64 * ratio.powf(step as f64 / (CAPS - 1) as f64)).round() as u64;
    let mut caps: Vec<u64> = (0..CAPS).map(at).collect();
    caps.dedup();
    Some(recording.curves(&policies, &caps))
}

#[cfg(test)]
mod tests {
    use pager_core::trace::Use;

    use super::samples::{at, fault, map, trace};
    use super::*;

    #[test]
    fn sums_agree_whichever_way_they_are_taken() {
        let survey = samples::survey();
        let by_process = |kind: usize| survey.processes.iter().map(|one| one.tally.faults[kind]).sum::<u64>();
        let by_time = |kind: usize| survey.all.faults[kind].iter().map(|&n| u64::from(n)).sum::<u64>();
        let by_function =
            |kind: usize| survey.functions.iter().map(|row| row.tally.faults[kind]).sum::<u64>();
        for (kind, faults) in [(0, 0), (1, 400), (2, 200), (3, 1)] {
            assert_eq!([by_process(kind), by_time(kind), by_function(kind)], [faults; 3], "kind {kind}");
        }
        assert_eq!(survey.latency.iter().map(|one| one.count).sum::<u64>(), 601);
        let in_heat: u64 = survey
            .processes
            .iter()
            .flat_map(|one| one.heat.as_ref().expect("of each").cells.chunks(3))
            .map(|cell| u64::from(cell[2]))
            .sum();
        assert_eq!(in_heat, 601);
        assert_eq!(survey.stacks.iter().map(|stack| stack.faults).sum::<u64>(), 601);
        assert_eq!((survey.elapsed_ns, survey.events, survey.images.len()), (10_000_000, 654, 1));
        assert_eq!(survey.all.swapped_out.iter().sum::<u32>(), 50);
        assert!(survey.curve.is_some_and(|curve| curve.policies.contains_key("2q")));
    }

    #[test]
    fn areas_and_callers_have_names() {
        let survey = samples::survey();
        let rows = &survey.processes[0].heat.as_ref().expect("of the first").rows;
        let areas: Vec<&str> = rows.iter().map(|row| row.area.as_str()).collect();
        assert!(areas.contains(&"sort") && areas.contains(&"heap"), "{areas:?}");
        let names: Vec<&str> = survey.functions.iter().map(|row| row.name.as_str()).collect();
        assert!(names.contains(&"for a system call") && names.contains(&"no symbol, page 0x0"), "{names:?}");
    }

    #[test]
    fn a_run_without_events_or_a_cap_is_no_trouble() {
        let empty = survey(&trace(None, []));
        assert!(empty.processes.is_empty() && empty.curve.is_none() && empty.warnings.is_empty());
    }

    /// Ten million events of a program that touches 400 MiB at random under a cap of 64: written in under a
    /// minute, in under ten megabytes. Only with `INTEGRATION_FULL=1`.
    #[test]
    fn ten_million_events_are_summed_up_in_a_minute() {
        if std::env::var_os("INTEGRATION_FULL").is_none_or(|value| value != "1") {
            return;
        }
        let kinds = [FaultKind::SwapIn, FaultKind::Zero, FaultKind::SwapIn, FaultKind::Protection];
        let touch = |n: u64| {
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let (page, instruction) = (1000 + mixed % 100_000, (100 << 12) + mixed % 3000 * 16);
            let fault = at(n * 900, fault(1, kinds[(n % 4) as usize], page, 1, instruction));
            let leave = at(n * 900 + 1, samples::evict(1, pager_core::trace::Departure::Written, page, 1));
            [fault, leave]
        };
        let begin = [map(1, 100, 50, Some((0, 0)), Use::Text), map(1, 1000, 100_000, None, Use::Mapping)];
        let trace = trace(Some(16_384), begin.into_iter().chain((0..5_000_000).flat_map(touch)));
        let begun = std::time::Instant::now();
        let survey = survey(&trace);
        let mut page = Vec::new();
        crate::export::html::write(&survey, &mut page).expect("memory takes it");
        let (took, bytes) = (begun.elapsed(), page.len());
        println!("{} events: {took:?}, {bytes} bytes", survey.events);
        assert!(
            survey.events == 10_000_002 && took.as_secs() < 60 && bytes < 10 << 20,
            "{took:?}, {bytes} bytes"
        );
    }

    #[test]
    fn a_thousand_processes_are_summed_up() {
        let forked = (1..=1000u32).flat_map(|pid| {
            [map(pid, 10, 10, None, Use::Heap), at(u64::from(pid), fault(pid, FaultKind::Zero, 12, 1, 0))]
        });
        let survey = survey(&trace(None, forked));
        assert_eq!((survey.processes.len(), survey.processes_left_out), (PROCESSES, 1000 - PROCESSES as u64));
        assert_eq!(survey.all.faults[1].iter().sum::<u32>(), 1000);
        assert!(survey.functions.len() <= 400);
    }
}
