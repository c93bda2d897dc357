//! `cargo kernels [--json] [--limit SECONDS] [--case NAME]... [KERNEL...]`: programs and guests under the
//! pager on Debian's kernels, each in a machine of QEMU's.
//!
//! A KERNEL is the start of a release (`6.1`), `newest`, or one of these with `-pku` behind it for a
//! processor without protection keys. The table goes to standard output, progress to standard error; the exit
//! code is 1 where anything differs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use integration::binaries;
use integration::guests::{self, Link};
use integration::kernels::case::{self, Command};
use integration::kernels::machine::Job;
use integration::kernels::package::Store;
use integration::kernels::table::{self, Column};
use integration::kernels::{Plan, initramfs, inside, machine};
use integration::tools::{self, Tool};

/// What makes a machine.
const TOOLS: [Tool; 3] = [
    Tool { path: machine::QEMU, package: "qemu-system-x86" },
    Tool { path: initramfs::BUSYBOX, package: "busybox-static" },
    Tool { path: "/usr/bin/xz", package: "xz-utils" },
];
/// The longest time for one kernel: three times what it takes on two idle processors, and no more than a busy
/// machine was seen to take.
const LIMIT: Duration = Duration::from_secs(5400);

struct Options {
    json: bool,
    limit: Duration,
    cases: Vec<String>,
    plans: Vec<Plan>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--inside", cases)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        inside::run(cases);
        return ExitCode::SUCCESS;
    }
    match options().and_then(|options| compare(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kernels: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options { json: false, limit: LIMIT, cases: Vec::new(), plans: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--case" => options.cases.push(words.next().context("--case takes a name")?),
            "--limit" => {
                let seconds =
                    words.next().and_then(|word| word.parse().ok()).context("--limit takes seconds")?;
                options.limit = Duration::from_secs(seconds);
            }
            word if word.starts_with('-') => {
                bail!(
                    "unknown option {word}: cargo kernels [--json] [--limit S] [--case NAME]... [KERNEL...]"
                )
            }
            kernel => options.plans.push(Plan::parse(kernel)),
        }
    }
    if options.plans.is_empty() {
        options.plans = Plan::all();
    }
    Ok(options)
}

/// Whether everything is the same on all kernels.
fn compare(options: &Options) -> Result<bool> {
    if let Some(advice) = tools::advice(&TOOLS) {
        bail!("{advice}");
    }
    eprintln!("kernels: building");
    let (store, programs) = (Store::open(&binaries::target().join("kernels"))?, programs()?);
    let job = Job { programs: &programs, cases: &options.cases, limit: options.limit };
    let columns: Vec<Column> = options.plans.iter().map(|plan| column(plan, &store, &job)).collect();
    match options.json {
        true => println!("{:#}", table::json(&columns)),
        false => print!("{}", table::markdown(&columns)),
    }
    Ok(columns.iter().all(Column::is_good))
}

/// Puts the programs and guests together where a machine finds them, out of the way of the next build; ours
/// among them.
fn programs() -> Result<PathBuf> {
    let folder = binaries::target().join("kernels/programs");
    std::fs::create_dir_all(folder.join("guests")).context("cannot make the folder of programs")?;
    let copy = |from: &Path, to: &Path| {
        // A machine that is still running has the old one open.
        let _ = std::fs::remove_file(to);
        std::fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&binaries::pager(), &folder.join("pager"))?;
    for case in case::all() {
        if let Command::Guest(name, _) = case.command {
            copy(&guests::build(name, Link::Dynamic), &folder.join("guests").join(name))?;
        }
    }
    copy(&guests::build("forbidding", Link::Static), &folder.join("guests/forbidding"))?;
    copy(&std::env::current_exe().context("no path of this program")?, &folder.join("kernels"))?;
    Ok(folder)
}

fn column(plan: &Plan, store: &Store, job: &Job<'_>) -> Column {
    let mut column = Column::new(plan);
    let total = if job.cases.is_empty() { case::all().len() } else { job.cases.len() };
    let result = store.kernel(&plan.kernel).and_then(|kernel| {
        column.release.clone_from(&kernel.release);
        eprintln!("kernels: {plan}: booting {}", kernel.release);
        let (begin, mut count) = (Instant::now(), 0);
        machine::run(&kernel, plan.processor, job, |value| {
            if let Some(name) = value["case"].as_str() {
                count += 1;
                let (mark, detail) = (table::mark(Some(value)), value["detail"].as_str().unwrap_or_default());
                eprintln!(
                    "kernels: {plan}: {count}/{total} {:4} s  {name}: {mark} {detail}",
                    begin.elapsed().as_secs()
                );
            }
            column.told.push(value.clone());
        })
    });
    column.failure = result.err().map(|error| format!("{error:#}"));
    column.failure.iter().for_each(|failure| eprintln!("kernels: {plan}: {failure}"));
    column
}
