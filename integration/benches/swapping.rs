//! Programs that do not fit: under the pager's cap, and in a memory control group with the kernel's own
//! swapping.
//!
//! `cargo bench -p integration --bench swapping [-- NAME...]`, as root, with swap switched on; without, it
//! says how. Each side has 100, 50 and 25 % of the native peak. The kernel's group gets beyond that what it
//! charges for page tables and stacks, and reads the program and its libraries from cold copies, so that
//! their pages count on both sides.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration::bench;
use integration::cold_copy::ColdCopy;
use integration::control_group::{self, Group};
use integration::guests::{self, Link};
use integration::inputs;
use integration::paged::Paging;
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;

const PERCENTS: [u64; 3] = [100, 50, 25];
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(240);
/// A run that takes this long is not made again.
const LONG: Duration = Duration::from_secs(10);

/// One program with its inputs.
struct Program {
    name: &'static str,
    path: PathBuf,
    arguments: Vec<String>,
}

/// What one run under a cap came to.
#[derive(Clone, Copy)]
struct Capped {
    elapsed: Option<Duration>,
    /// Faults for which a page was read.
    faults: u64,
    pages_in: u64,
}

fn programs(folder: &Scratch) -> Vec<Program> {
    let text = |megabytes: u64| {
        let path = folder.join(&format!("text{megabytes}"));
        inputs::text_file(&path, megabytes * 1_000_000, 7);
        path.to_string_lossy().into_owned()
    };
    let script = folder.file("structures.py", inputs::python_source(16)).to_string_lossy().into_owned();
    let program = |name, path: &Path, arguments: &[&str]| Program {
        name,
        path: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
    };
    let random = guests::build("random_access", Link::Dynamic);
    vec![
        program("xz -T2 -3", Path::new("/usr/bin/xz"), &["-T2", "-3", "-c", &text(1)]),
        program("zstd -T2 -9", Path::new("/usr/bin/zstd"), &["-q", "-T2", "-9", "-c", &text(1)]),
        program("bzip2", Path::new("/usr/bin/bzip2"), &["-c", &text(1)]),
        program(
            "mawk",
            Path::new("/usr/bin/mawk"),
            &["{n[$1]++} END {for (i in n) print i, n[i]}", &text(1)],
        ),
        program("sort -S 20M", Path::new("/usr/bin/sort"), &["--parallel=1", "-S", "20M", &text(4)]),
        program("python", Path::new("/usr/bin/python3"), &["-S", &script]),
        program("random access", &random, &["16"]),
    ]
}

fn main() -> ExitCode {
    let swap = match control_group::swap().and_then(|swap| Group::new().map(|_group| swap)) {
        Ok(swap) => swap,
        Err(reason) => {
            println!("swapping: skipped: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    println!("the kernel swaps to: {}", swap.join("; "));
    println!("x: times the native time; then faults that read a page, then pages that came from swap\n");
    println!("| program | native | cap | pager | kernel |\n|---|---|---|---|---|");
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let folder = Scratch::new("swapping");
    for program in programs(&folder) {
        let wanted = names.is_empty() || names.iter().any(|name| program.name.contains(name.as_str()));
        if wanted
            && program.path.exists()
            && let Err(reason) = compare(&program)
        {
            eprintln!("swapping: {}: {reason}", program.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn compare(program: &Program) -> Result<(), String> {
    let (peak, expected) = peak(program)?;
    let natives: Vec<f64> = (0..ROUNDS)
        .map(|_| prepared(Run::new(&program.path), program).outcome().elapsed.as_secs_f64())
        .collect();
    let native = bench::median(&natives);
    let copy = ColdCopy::of(&program.path);
    let kernel_bytes = kernel_bytes(program, &copy)?;
    for percent in PERCENTS {
        let cap = peak * percent / 100;
        let (mut paged, mut swapped) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            repeat(&mut paged, || under_pager(program, cap, &expected))?;
            repeat(&mut swapped, || under_kernel(program, &copy, cap + kernel_bytes, &expected))?;
        }
        let native_ms = native * 1000.0;
        println!(
            "| {} | {native_ms:.0} ms | {percent} %, {} KiB | {} | {} |",
            program.name,
            cap >> 10,
            cell(&paged, native),
            cell(&swapped, native)
        );
    }
    Ok(())
}

/// Makes a run unless the last one took long.
fn repeat(runs: &mut Vec<Capped>, run: impl FnOnce() -> Result<Capped, String>) -> Result<(), String> {
    if runs.last().is_none_or(|last| last.elapsed.is_some_and(|elapsed| elapsed < LONG)) {
        runs.push(run()?);
    }
    Ok(())
}

fn prepared(run: Run, program: &Program) -> Run {
    run.args(&program.arguments)
        .env("LC_ALL", "C")
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONHOME", "/usr")
        .limit(LIMIT)
}

/// The native peak in bytes, and what the program writes.
fn peak(program: &Program) -> Result<(u64, Vec<u8>), String> {
    let aside = Scratch::new("swapping-peak");
    let file = aside.join("peak");
    let run = Run::new(guests::build("peak", Link::Static)).arg(&file).arg(&program.path);
    let outcome = ended(prepared(run, program).outcome())?;
    let text = std::fs::read_to_string(&file).map_err(|error| format!("no peak: {error}"))?;
    let kilobytes: u64 = text.trim().parse().map_err(|error| format!("the peak {text:?}: {error}"))?;
    Ok((kilobytes << 10, outcome.stdout))
}

/// The most that the kernel charges a group for its own memory while the program runs without a limit.
fn kernel_bytes(program: &Program, copy: &ColdCopy) -> Result<u64, String> {
    let group = Group::new()?;
    let done = AtomicBool::new(false);
    let run = prepared(copy.command(&group), program);
    let (most, outcome) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(group.kernel_bytes());
                std::thread::sleep(Duration::from_millis(2));
            }
            most
        });
        let outcome = run.outcome();
        done.store(true, Ordering::Relaxed);
        (watcher.join().unwrap_or(0), outcome)
    });
    ended(outcome).map(|_| most)
}

fn under_pager(program: &Program, cap: u64, expected: &[u8]) -> Result<Capped, String> {
    let run = Paging::new().resident(&cap.to_string()).run(&program.path, |run| prepared(run, program));
    if run.outcome.end == End::Overdue {
        return Ok(Capped { elapsed: None, faults: 0, pages_in: 0 });
    }
    let report = run.report();
    let outcome = same(run.outcome, expected)?;
    let faults = report.number("faults.swap_in") + report.number("faults.image");
    Ok(Capped { elapsed: Some(outcome.elapsed), faults, pages_in: report.number("pages.swap_in") })
}

fn under_kernel(program: &Program, copy: &ColdCopy, limit: u64, expected: &[u8]) -> Result<Capped, String> {
    let group = Group::new()?;
    group.limit(limit).map_err(|error| format!("the limit of {limit} bytes: {error}"))?;
    copy.chill();
    let before = control_group::pages_swapped_in();
    let outcome = prepared(copy.command(&group), program).outcome();
    let (faults, pages_in) = (group.major_faults(), control_group::pages_swapped_in() - before);
    let elapsed = if outcome.end == End::Overdue { None } else { Some(same(outcome, expected)?.elapsed) };
    Ok(Capped { elapsed, faults, pages_in })
}

fn ended(outcome: Outcome) -> Result<Outcome, String> {
    match outcome.end {
        End::Code(0) => Ok(outcome),
        end => Err(format!("{end:?}: {}", outcome.complaint().trim())),
    }
}

fn same(outcome: Outcome, expected: &[u8]) -> Result<Outcome, String> {
    let outcome = ended(outcome)?;
    if outcome.stdout == expected {
        Ok(outcome)
    } else {
        Err("its output differs from the native one".to_owned())
    }
}

/// The run of median time.
fn cell(runs: &[Capped], native: f64) -> String {
    let mut sorted = runs.to_vec();
    sorted.sort_by_key(|run| run.elapsed.unwrap_or(LIMIT));
    let Capped { elapsed, faults, pages_in } = sorted[sorted.len() / 2];
    match elapsed {
        Some(elapsed) => format!("{:.1} x, {faults}, {pages_in}", elapsed.as_secs_f64() / native),
        None => format!("over {} s, {faults}, {pages_in}", LIMIT.as_secs()),
    }
}
