//! What `pager run --record` writes: its sums are the report's, a cut file gives what is whole, and the
//! commands that read it answer from it.
//!
//! Assumes: gcc, userfaultfd.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::binaries;
use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::report::Report;
use integration::run::{End, Run};
use integration::scratch::Scratch;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);

/// A guest run at `cap`, its report, and its trace.
fn recorded(scratch: &Scratch, guest: &str, arguments: &[&str], cap: Option<&str>) -> (Report, PathBuf) {
    let (report, trace, _) = recorded_for(scratch, guest, arguments, cap);
    (report, trace)
}

/// The same, and how long it took, seen from outside.
fn recorded_for(
    scratch: &Scratch,
    guest: &str,
    arguments: &[&str],
    cap: Option<&str>,
) -> (Report, PathBuf, Duration) {
    let trace = scratch.join("trace");
    let paging = Paging::new().option("--record", &trace);
    let paging = cap.map_or(paging.clone(), |cap| paging.resident(cap));
    let run = paging.run(guests::build(guest, Link::Dynamic), |run| run.args(arguments).limit(LIMIT));
    assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
    (run.report(), trace, run.outcome.elapsed)
}

fn pager(words: &[&str], trace: &Path) -> integration::run::Outcome {
    Run::new(binaries::pager()).args(words).arg(trace).limit(LIMIT).outcome()
}

fn events(trace: &Path) -> Vec<Value> {
    let outcome = pager(&["events", "--format", "json"], trace);
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    let text = String::from_utf8(outcome.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
}

fn is(event: &Value, name: &str, kind: Option<&str>) -> bool {
    event["event"] == name && kind.is_none_or(|kind| event["kind"] == kind)
}

fn count(events: &[Value], name: &str, kind: &str) -> u64 {
    events.iter().filter(|event| is(event, name, Some(kind))).count() as u64
}

fn pages(events: &[Value], name: &str, kind: Option<&str>) -> u64 {
    events.iter().filter(|event| is(event, name, kind)).filter_map(|event| event["pages"].as_u64()).sum()
}

#[test]
fn the_sums_of_the_events_are_those_of_the_report() {
    for (guest, arguments, cap) in [
        ("random_access", &["8"][..], Some("2M")),
        ("map_walk", &[], Some("1M")),
        ("fork_tree", &[], Some("2M")),
        ("pthreads", &[], Some("1M")),
        ("brk_heap", &[], None),
    ] {
        let scratch = Scratch::new("recording");
        let (report, trace) = recorded(&scratch, guest, arguments, cap);
        let events = events(&trace);
        let faults = report.at("faults");
        assert_eq!(count(&events, "fault", "zero"), faults.number("zero"), "{guest}");
        assert_eq!(count(&events, "fault", "swap-in"), faults.number("swap_in"), "{guest}");
        assert_eq!(count(&events, "fault", "protection"), faults.number("protection"), "{guest}");
        let of_files = count(&events, "fault", "image") + count(&events, "fault", "map-through");
        assert_eq!(of_files, faults.number("image"), "{guest}");
        let out = report.at("pages");
        assert_eq!(pages(&events, "evict", None), out.number("evicted"), "{guest}");
        assert_eq!(pages(&events, "evict", Some("written")), out.number("written"), "{guest}");
        assert_eq!(pages(&events, "evict", Some("zero")), out.number("zero_dropped"), "{guest}");
        assert_eq!(pages(&events, "fault", Some("swap-in")), out.number("swap_in"), "{guest}");
        let of_images: u64 = report.list("images").iter().map(|image| image.number("pages_evicted")).sum();
        assert_eq!(pages(&events, "evict", Some("mapped")), of_images, "{guest}");
        assert_eq!(of_images > 0, cap.is_some(), "{guest}: a cap has pages of files leave");
    }
}

#[test]
fn every_event_says_who_when_and_where() {
    let scratch = Scratch::new("recording");
    let (report, trace, elapsed) = recorded_for(&scratch, "random_access", &["4"], Some("1M"));
    let events = events(&trace);
    let pid = report.number("pid");
    assert!(events.iter().all(|event| event["pid"] == pid), "one process, as the report says");
    let faults = || events.iter().filter(|event| is(event, "fault", None));
    assert!(faults().any(|event| event["instruction"].is_u64()), "faults of instructions");
    assert!(faults().any(|event| event["instruction"].is_null()), "and faults for system calls");
    assert!(faults().all(|event| event["touched"].is_u64() && event["cost_ns"].is_u64()));
    let last = events.iter().filter_map(|event| event["time_ns"].as_u64()).max();
    assert!(
        last.is_some_and(|last| last > 0 && last <= elapsed.as_nanos() as u64),
        "{last:?} of {elapsed:?}"
    );
}

#[test]
fn a_cut_trace_gives_what_is_whole_and_says_where_it_ends() {
    let scratch = Scratch::new("recording");
    let (_, trace) = recorded(&scratch, "random_access", &["16"], Some("1M"));
    let whole = events(&trace).len();
    let bytes = fs::read(&trace).expect("a trace");
    let cut = scratch.file("cut", &bytes[..bytes.len() / 2]);
    let outcome = pager(&["events", "--format", "json"], &cut);
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert_eq!(outcome.end, End::Code(0), "{said}");
    assert!(said.contains("cut off at byte"), "{said}");
    let left = outcome.stdout.iter().filter(|byte| **byte == b'\n').count();
    assert!(left > 0 && left < whole, "{left} of {whole}");
    let other = scratch.file("other", b"\x7fELF and so on, which is no trace");
    let outcome = pager(&["mrc"], &other);
    assert_eq!(outcome.end, End::Code(1));
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("pager run --record"), "says how to make one");
}

#[test]
fn a_trace_over_its_limit_says_what_is_missing() {
    let scratch = Scratch::new("recording");
    let trace = scratch.join("trace");
    let paging = Paging::new().resident("1M").option("--record", &trace).option("--record-limit", "64K");
    let run = paging.run(guests::build("random_access", Link::Dynamic), |run| run.arg("16").limit(LIMIT));
    assert_eq!(run.outcome.end, End::Code(0));
    let said = String::from_utf8_lossy(&run.outcome.stderr).into_owned();
    assert!(said.contains("events are missing"), "{said}");
    assert!(
        fs::metadata(&trace).expect("a trace").len() < 512 << 10,
        "the limit holds, but for a chunk and the end"
    );
}

/// With the recorded cap the simulator has about the recorded misses, with all memory only first ones, and
/// never fewer than the optimum.
#[test]
fn the_curve_agrees_with_the_run_at_both_ends() {
    let scratch = Scratch::new("recording");
    let (report, trace) = recorded(&scratch, "random_access", &["8"], Some("2M"));
    let outcome = Run::new(binaries::pager())
        .args(["sim", "--policy", "2q,lru,opt", "--cap", "2M,4M,16M", "--json"])
        .arg(&trace);
    let curves: Value = serde_json::from_slice(&outcome.limit(LIMIT).outcome().stdout).expect("JSON");
    let misses =
        |policy: &str, at: usize| curves["policies"][policy][at]["misses"].as_u64().expect("a number");
    let faults = report.at("faults");
    let told = faults.number("zero") + faults.number("swap_in") + faults.number("image");
    assert_eq!(curves["recorded_misses"].as_u64(), Some(told));
    let at_cap = misses("2q", 0);
    assert!(at_cap.abs_diff(told) <= told / 50, "{at_cap} simulated, {told} recorded");
    for at in 0..3 {
        assert!(misses("opt", at) <= misses("lru", at) && misses("opt", at) <= misses("2q", at));
    }
    assert_eq!(misses("2q", 2), misses("opt", 2), "room for everything");
    let uncapped =
        Paging::new().run(guests::build("random_access", Link::Dynamic), |run| run.arg("8").limit(LIMIT));
    let faults = uncapped.report().at("faults");
    let first = faults.number("zero") + faults.number("swap_in") + faults.number("image");
    assert!(misses("2q", 2).abs_diff(first) <= first / 10, "{} simulated, {first} natively", misses("2q", 2));
}

/// Under another policy the program does the same, and the policy is another.
#[test]
fn policies_differ_in_faults_and_in_nothing_else() {
    let program = guests::build("random_access", Link::Dynamic);
    let run = |policy: &str| {
        let paging = Paging::new().resident("2M").option("--policy", policy);
        let run = paging.run(&program, |run| run.arg("8").limit(LIMIT));
        assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
        (run.outcome.stdout.clone(), run.report().at("faults").number("swap_in"))
    };
    let (two_queue, fifo) = (run("2q"), run("fifo"));
    assert_eq!(two_queue.0, fifo.0);
    assert_ne!(two_queue.1, fifo.1);
}

#[test]
fn need_names_a_cap_between_the_least_and_the_peak_and_has_run_it() {
    let program = guests::build("random_access", Link::Dynamic);
    let outcome = Run::new(binaries::pager())
        .args(["need", "--slowdown", "400%", "--json", "--"])
        .arg(&program)
        .arg("4")
        .limit(LIMIT)
        .outcome();
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    let answer: Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
    let (need, peak) = (&answer["needs"][0], answer["peak_bytes"].as_u64().expect("a peak"));
    let cap = need["cap_bytes"].as_u64().expect("a cap");
    assert!(cap >= 256 << 10 && cap <= peak, "{answer}");
    assert!(cap == peak || need["runs"].as_u64() > Some(0), "{answer}");
    assert!(answer["measured"].as_array().is_some_and(|rows| !rows.is_empty()), "{answer}");
    assert!(answer["native_ns"].as_u64() > Some(0) && answer["uncapped_ns"].as_u64() > Some(0), "{answer}");
}

#[test]
fn need_refuses_what_does_not_end_well_and_what_is_not_there() {
    for (words, said) in [(&["false"][..], "does not end well"), (&["/no/such/program"], "cannot be run")] {
        let outcome = Run::new(binaries::pager()).args(["need", "--"]).args(words).limit(LIMIT).outcome();
        assert_eq!(outcome.end, End::Code(1));
        assert!(String::from_utf8_lossy(&outcome.stderr).contains(said), "{}", outcome.complaint());
    }
}
