//! Debuggers started under the pager, and what they start: gdb, strace and ltrace do their usual work. What a
//! tracer sees of paged processes is in `guests::tracers`.
//!
//! Assumes: gcc. Debuggers that are not installed are named and left out.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::{PagedOutcome, Paging};
use integration::run::{End, Run};
use integration::scratch::Scratch;
use integration::tools;

const LIMIT: Duration = Duration::from_secs(180);

/// Runs a debugger natively and paged, if it is there.
fn both<T>(
    debugger: &str,
    arguments: &[&str],
    told: impl Fn(End, &str) -> T,
) -> Option<(T, T, PagedOutcome)> {
    let Some(program) = tools::in_path(debugger) else {
        eprintln!("{debugger} is not installed: left out");
        return None;
    };
    let prepare = |run: Run| run.args(arguments).env("LC_ALL", "C").limit(LIMIT);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let native = prepare(Run::new(&program)).outcome();
    // Looked at before the other run leaves its traces.
    let expected = told(native.end, &text(&native.stdout));
    let paged = Paging::new().run(&program, prepare);
    let got = told(paged.outcome.end, &text(&paged.outcome.stdout));
    Some((expected, got, paged))
}

fn line_of_the_debugger(paged: &PagedOutcome) {
    let said = paged.outcome.complaint();
    assert!(said.contains("runs natively, unpaged: a debugger of this run traces it"), "{said}");
    assert!(paged.report().number("execs_native") >= 1);
}

/// Lines without numbers that differ from run to run.
fn lines_with(text: &str, words: &[&str]) -> Vec<String> {
    let without_numbers = |line: &str| {
        let words = line.split_whitespace().filter(|word| !word.contains("0x") && !word.contains("/nptl/"));
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().filter(|line| words.iter().any(|word| line.contains(word))).map(without_numbers).collect()
}

#[test]
fn gdb_runs_a_program_to_its_fault_and_shows_where() {
    let program = guests::build("null_read", Link::Dynamic).display().to_string();
    let script = [
        "-nx",
        "-batch",
        "-ex",
        "break main",
        "-ex",
        "run",
        "-ex",
        "next",
        "-ex",
        "continue",
        "-ex",
        "bt",
        "--args",
        &program,
    ];
    let told = |end, text: &str| (end, lines_with(text, &["Breakpoint", "SIGSEGV", "#0", "#1", "main"]));
    let Some((native, paged, run)) = both("gdb", &script, told) else { return };
    assert!(native.1.iter().any(|line| line.contains("SIGSEGV")), "{native:?}");
    assert_eq!(paged, native);
    line_of_the_debugger(&run);
}

/// How often each program was executed, and the names of all calls: how often one is made depends on how
/// processes overlap.
fn calls_of(log: &Path) -> (usize, BTreeSet<String>) {
    let log = std::fs::read_to_string(log).expect("the log was written");
    let name = |line: &str| {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let is_call = line.starts_with(|c: char| c.is_ascii_lowercase());
        Some(line.split_once('(')?.0.to_owned()).filter(|_| is_call)
    };
    let names: Vec<String> = log.lines().filter_map(name).collect();
    (names.iter().filter(|name| *name == "execve").count(), names.into_iter().collect())
}

#[test]
fn strace_shows_the_calls_of_a_program_and_of_its_children() {
    let scratch = Scratch::new("strace");
    let log = scratch.join("log").display().to_string();
    let script = ["-f", "-o", &log, "/bin/sh", "-c", "echo one; /bin/true; (exit 3); /bin/echo two"];
    let told = |end, text: &str| (end, text.to_owned(), calls_of(Path::new(&log)));
    let Some((native, paged, run)) = both("strace", &script, told) else { return };
    assert_eq!((native.0, native.2.0), (End::Code(0), 3), "strace needs ptrace: {native:?}");
    assert_eq!(paged, native);
    line_of_the_debugger(&run);
}

#[test]
fn ltrace_shows_the_calls_of_libraries() {
    let program = guests::build("exit_code", Link::FixedDynamic).display().to_string();
    let told = |end, text: &str| (end, text.to_owned());
    let Some((native, paged, run)) = both("ltrace", &["-o", "/dev/null", &program], told) else { return };
    assert_eq!(paged, native);
    line_of_the_debugger(&run);
}

/// One stop, at the instruction, and then the end: the signal by which the runtime ends the process is not a
/// second one.
#[test]
fn a_fault_that_ends_a_paged_tracee_is_told_once() {
    let program = guests::build("tracers", Link::Dynamic);
    let prepare = |run: Run| run.arg("unhandled").limit(LIMIT);
    let native = prepare(Run::new(&program)).outcome();
    for paging in [Paging::new(), Paging::new().option("--engine", "sigsegv")] {
        let paged = paging.run(&program, prepare).outcome;
        assert_eq!((paged.end, &paged.stdout), (native.end, &native.stdout), "{}", paged.complaint());
    }
}

/// What a paged thread cannot do for its tracer is refused at once; the first process has no tracer in the
/// run.
#[test]
fn what_cannot_be_had_is_refused_at_once() {
    let run = Paging::new().run(guests::build("tracer_refusals", Link::Dynamic), |run| run.limit(LIMIT));
    let told = String::from_utf8_lossy(&run.outcome.stdout).into_owned();
    assert_eq!(
        (run.outcome.end, told.as_str()),
        (End::Code(0), "traceme 1\nstep 5\nemulate 5\nblock 5\nended 0\n")
    );
}
