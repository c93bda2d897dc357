//! The demo: a real program runs from a mounted image in less memory than it needs, and both sides' counts
//! are shown.
//!
//! `cargo demo` takes seconds; `cargo demo-full` sorts the acceptance list's 200 MB under 32 MiB.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use integration::comparison::Comparison;
use integration::mount::{Mount, MountPlan, is_mounted};
use integration::paged::{PagedOutcome, Paging};
use integration::run::{End, Outcome, Run, Sampling};
use integration::workloads::{self, Cap, Scale, Workload};
use integration::{STATED_SLACK_BYTES, binaries, processes, tools};

/// What the paged run may hold, whatever the size of its input.
const CAP: Cap = Cap { option: "32M", bytes: 32 << 20 };

fn main() -> ExitCode {
    match demonstrate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<()> {
    let scale =
        if std::env::args().any(|argument| argument == "--full") { Scale::Full } else { Scale::Quick };
    // Root mounts by mount(2).
    if !nix::unistd::geteuid().is_root()
        && let Some(advice) = tools::advice(&[tools::FUSERMOUNT])
    {
        bail!("{advice}");
    }
    step("building pager and swapfs");
    binaries::folder();
    step("making a text file to sort");
    let workload = workloads::sort(scale);
    step("mounting: / read-only under images/, an empty swap file of 2 GiB under swap/");
    let mount = mount()?;
    println!("    {}", mount.point().display());
    step("natively: sort, with all the memory it wants");
    let (native, expected) = run_natively(&workload, scale)?;
    step(&format!("paged: the same sort, loaded from the mount, in {} of memory", CAP.option));
    let (paged, got) = run_paged(&workload, &mount, scale);
    compare(&native, &paged, got.map(|got| got == expected))?;
    show_reports(&mount, &native, &paged)?;
    step("unmounting");
    unmount(mount)?;
    println!(
        "\nIdentical output, {} of memory instead of {}.",
        CAP.option,
        mebibytes(native.resident.largest_bytes())
    );
    Ok(())
}

fn step(what: &str) {
    println!("==> {what}");
}

fn mount() -> Result<Mount> {
    let plan = MountPlan::new().image("/").swap("swap0:2G").option("--swap-store", "memory");
    plan.mount().map_err(anyhow::Error::msg).context("cannot mount")
}

fn run_natively(workload: &Workload, scale: Scale) -> Result<(Outcome, Vec<Vec<u8>>)> {
    let run = workload.prepare(Run::new(&workload.program), Path::new(""));
    let outcome = run.limit(scale.limit()).sampling(Sampling::Coarse).outcome();
    ensure!(outcome.end == End::Code(0), "{} itself fails: {}", workload.name, outcome.complaint());
    let products = workload.take_products();
    Ok((outcome, products))
}

fn run_paged(workload: &Workload, mount: &Mount, scale: Scale) -> (PagedOutcome, Option<Vec<Vec<u8>>>) {
    let program = mount.image(&workload.program.to_string_lossy());
    let paging = Paging::new().resident(CAP.option).swap(&mount.swap("swap0")).root(&mount.images());
    let limit = scale.limit();
    let prepare = |run: Run| workload.prepare(run, &mount.images()).limit(limit).sampling(Sampling::Fine);
    let paged = paging.run(program, prepare);
    let products = (paged.outcome.end == End::Code(0)).then(|| workload.take_products());
    (paged, products)
}

fn compare(native: &Outcome, paged: &PagedOutcome, products: Option<bool>) -> Result<()> {
    let got = &paged.outcome;
    ensure!(got.end == native.end, "the paged run ended with {:?}: {}", got.end, got.complaint().trim());
    ensure!(got.stdout == native.stdout && products == Some(true), "the paged run's output differs");
    println!("    exit code and output are identical");
    Ok(())
}

fn show_reports(mount: &Mount, native: &Outcome, paged: &PagedOutcome) -> Result<()> {
    let (report, stats) = (paged.report(), mount.stats());
    println!("\n{}", Comparison::of(&report, &stats));
    let peak = paged.outcome.resident.largest_descendant().map_or(0, |peak| peak.bytes);
    println!(
        "Sampled from outside every 2 ms: {} resident at most; natively {}.",
        mebibytes(peak),
        mebibytes(native.resident.largest_bytes())
    );
    println!(
        "Time: natively {:.2} s, paged {:.2} s.",
        native.elapsed.as_secs_f64(),
        paged.outcome.elapsed.as_secs_f64()
    );
    let bound = CAP.bytes + STATED_SLACK_BYTES;
    ensure!(peak <= bound, "the program held {peak} bytes, over its cap and the stated {STATED_SLACK_BYTES}");
    ensure!(report.number("swap.peak_bytes") > 0, "the program never swapped: its data fitted into the cap");
    Ok(())
}

fn unmount(mount: Mount) -> Result<()> {
    let (point, daemon) = (mount.point().to_owned(), mount.daemon());
    mount.unmount().map_err(anyhow::Error::msg)?;
    ensure!(!is_mounted(&point), "{} is still mounted", point.display());
    ensure!(
        processes::wait_until(Duration::from_secs(5), || !processes::is_alive(daemon)),
        "the daemon still runs"
    );
    Ok(())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
