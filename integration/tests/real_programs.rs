//! Programs that people use, natively and under the pager from a mounted image with a mounted swap file.
//!
//! Assumes: root or fusermount3, and the packages of `integration::tools`. `INTEGRATION_FULL=1` takes the
//! full sizes.

use integration::STATED_SLACK_BYTES;
use integration::mount::{Mount, MountPlan};
use integration::paged::{PagedOutcome, Paging};
use integration::run::{End, Outcome, Run, Sampling};
use integration::workloads::{self, Scale, Workload};

/// Above this native peak a program cannot fit in the cap, and so must have used the swap file.
const NATIVE_PEAK_THAT_MUST_SWAP: u64 = 64 << 20;

fn mount(workload: &Workload) -> Mount {
    let plan = MountPlan::new().swap("swap0:4G").option("--swap-store", "memory");
    let plan =
        if workload.program.starts_with("/usr") { plan.image("/") } else { plan.image(&workload.program) };
    plan.mount().unwrap_or_else(|reason| panic!("{reason}"))
}

/// Where the workload's program is in the mount, and the prefix under which its companions are.
fn paged(workload: &Workload, mount: &Mount, scale: Scale) -> PagedOutcome {
    let (prefix, program) = if workload.program.starts_with("/usr") {
        (mount.images(), mount.image(&workload.program.to_string_lossy()))
    } else {
        let name = workload.program.file_name().expect("a program has a name");
        (Default::default(), mount.images().join(name))
    };
    let paging = Paging::new().resident(scale.cap().option).swap(&mount.swap("swap0"));
    let paging = if prefix.as_os_str().is_empty() { paging } else { paging.root(&prefix) };
    paging.run(program, |run| workload.prepare(run, &prefix).limit(scale.limit()).sampling(Sampling::Fine))
}

fn native(workload: &Workload, scale: Scale) -> Outcome {
    let run = workload.prepare(Run::new(&workload.program), std::path::Path::new(""));
    run.limit(scale.limit()).sampling(Sampling::Coarse).outcome()
}

fn show(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(400).collect()
}

/// The whole acceptance rule for one program.
fn identical_within_the_cap(make: impl FnOnce(Scale) -> Workload) {
    let scale = Scale::asked();
    let workload = make(scale);
    let expected = native(&workload, scale);
    assert_eq!(expected.end, End::Code(0), "natively: {}", expected.complaint());
    let expected_products = workload.take_products();
    let mount = mount(&workload);
    let run = paged(&workload, &mount, scale);
    let got = &run.outcome;
    assert_eq!(got.end, expected.end, "{}: {}", workload.name, got.complaint());
    assert!(
        got.stdout == expected.stdout,
        "standard output, native: {}\npaged: {}",
        show(&expected.stdout),
        show(&got.stdout)
    );
    assert!(workload.take_products() == expected_products, "{}: the files it leaves differ", workload.name);
    stays_under_the_cap(&workload, &expected, &run, scale);
    drop(run);
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

fn stays_under_the_cap(workload: &Workload, native: &Outcome, run: &PagedOutcome, scale: Scale) {
    let native_peak = native.resident.largest_bytes();
    let Some(largest) = run.outcome.resident.largest_descendant() else {
        assert!(native_peak <= NATIVE_PEAK_THAT_MUST_SWAP, "{} was never sampled", workload.name);
        println!("{}: over before the first sample", workload.name);
        return;
    };
    let report = run.report();
    println!(
        "{:12} native {:6.2} s {:4} MiB | paged {:6.2} s, {} {} MiB of {} ({} samples), swap peak {} MiB, faults {}",
        workload.name,
        native.elapsed.as_secs_f64(),
        native_peak >> 20,
        run.outcome.elapsed.as_secs_f64(),
        largest.name,
        largest.bytes >> 20,
        scale.cap().option,
        largest.samples,
        report.number("swap.peak_bytes") >> 20,
        report.number("faults.total"),
    );
    let bound = scale.cap().bytes + STATED_SLACK_BYTES;
    assert!(largest.bytes <= bound, "{} held {} bytes, over {bound}", largest.name, largest.bytes);
    if native_peak > NATIVE_PEAK_THAT_MUST_SWAP {
        assert!(
            report.number("swap.peak_bytes") > 0,
            "{} peaks at {native_peak} natively and never swapped",
            workload.name
        );
    }
}

#[test]
fn sort_of_a_text_file() {
    identical_within_the_cap(workloads::sort);
}

#[test]
fn python_building_structures() {
    identical_within_the_cap(workloads::python);
}

#[test]
fn sqlite_in_memory() {
    identical_within_the_cap(workloads::sqlite);
}

#[test]
fn gcc_with_its_compiler_proper() {
    identical_within_the_cap(workloads::gcc);
}

#[test]
fn bash_with_pipelines() {
    identical_within_the_cap(workloads::bash);
}

#[test]
fn git_clone_and_log() {
    identical_within_the_cap(workloads::git);
}

#[test]
fn eight_threads_that_allocate() {
    identical_within_the_cap(workloads::threads);
}

#[test]
fn a_program_that_handles_its_own_segv() {
    identical_within_the_cap(workloads::own_segv);
}
