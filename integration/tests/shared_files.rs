//! Shared mappings of files that are written to count against the cap: what they hold of it is the file's, and goes with its page table entry.
//!
//! Assumes: gcc, and a native run whose peak can be sampled. What programs see of such memory is compared in `guests.rs` (`shared_*`),
//! `memory_calls.rs` and `differential.rs`.

use std::time::Duration;

use integration::STATED_SLACK_BYTES;
use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::resident::Peak;
use integration::run::{End, Run, Sampling};

const LIMIT: Duration = Duration::from_secs(60);
const CAP: (&str, u64) = ("4M", 4 << 20);
/// What the guest maps and writes.
const MAPPED: u64 = 32 << 20;

/// Runs the guest natively and under a cap; the paged peak by `held`, and how much was left to the kernel.
fn compare(kind: &str, held: fn(&Peak) -> u64) -> (u64, u64) {
    let program = guests::build("shared_fill", Link::Dynamic);
    let prepare = |run: Run| run.arg(kind).limit(LIMIT).sampling(Sampling::Fine);
    let native = prepare(Run::new(&program)).outcome();
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    let run = Paging::new().resident(CAP.0).run(&program, prepare);
    assert_eq!((run.outcome.end, &run.outcome.stdout), (native.end, &native.stdout), "{}", run.outcome.complaint());
    let root = native.resident.root.expect("a native run takes longer than a sample");
    assert!(held(&root) > MAPPED / 2, "natively {} bytes were seen at most", held(&root));
    let peak = run.outcome.resident.descendants.values().map(held).max().expect("the paged run was sampled");
    (peak, run.report().number("unmanaged_shared_bytes"))
}

#[test]
fn a_file_that_is_written_through_its_mapping_stays_within_the_cap() {
    let (peak, unmanaged) = compare("file", |peak| peak.bytes);
    assert!(peak <= CAP.1 + STATED_SLACK_BYTES, "{peak} bytes");
    assert_eq!(unmanaged, 0);
}

/// The process lets its pages go; the memory stays the kernel's, as that of any file in memory.
#[test]
fn a_file_in_memory_stays_within_the_cap_as_far_as_the_process_holds_it() {
    let (peak, unmanaged) = compare("memfd", |peak| peak.bytes + peak.shared_bytes);
    assert!(peak <= CAP.1 + STATED_SLACK_BYTES, "{peak} bytes");
    assert_eq!(unmanaged, 0);
}

/// No pages of the file itself are let through there.
#[test]
fn what_other_engines_leave_to_the_kernel_is_told() {
    let program = guests::build("shared_fill", Link::Dynamic);
    for engine in ["uffd", "thread"] {
        let run = Paging::new().resident(CAP.0).option("--engine", engine).run(&program, |run| run.limit(LIMIT));
        assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
        assert_eq!(run.report().number("unmanaged_shared_bytes"), MAPPED, "{engine}");
    }
}
