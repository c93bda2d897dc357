//! Programs that attack the pager from inside. What is promised: no other process gets a wrong result, the
//! supervisor stays, the user reads a line, nothing is left. `pager/docs/NOT_A_SANDBOX.md` says what is not.
//!
//! Assumes: gcc, userfaultfd, syscall user dispatch. Needs no mount.

use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::run::{End, Outcome};
use integration::scratch::Scratch;
use integration::traces;

/// Far below what the guest's pattern takes: at every moment most of it is in the swap file.
const CAP: &str = "1M";
const LIMIT: Duration = Duration::from_secs(30);
/// A guest saw what Linux would not do.
const WRONG: i32 = 99;

/// How an attack is made.
#[derive(Clone, Copy)]
enum Company {
    /// By the run's only process.
    Alone,
    /// By a child of a process that pages all the while.
    Witness,
}

/// Runs the attack `name`; checks what holds for all of them.
fn attack(name: &str, company: Company) -> Outcome {
    let scratch = Scratch::new("hostile");
    // Under a path of this test's own, by which what is left can be found; on no path that an attack could
    // not use after it gave up its rights.
    let program = scratch.join("hostile");
    std::fs::copy(guests::build("hostile", Link::Dynamic), &program).expect("a guest can be copied");
    let way = match company {
        Company::Alone => "alone",
        Company::Witness => "witness",
    };
    let outcome = Paging::new()
        .resident(CAP)
        .run(&program, |run| run.args([way, name]).env("TMPDIR", scratch.path()).limit(LIMIT))
        .outcome;
    assert_ne!(outcome.end, End::Overdue, "{name} hangs: {}", outcome.complaint());
    assert_ne!(outcome.end, End::Code(WRONG), "{name}: {}", outcome.complaint());
    assert!(
        !outcome.complaint().contains("panicked at pager/src"),
        "the supervisor panicked: {}",
        outcome.complaint()
    );
    traces::none_of(scratch.path());
    outcome
}

/// The runtime withstands it: the program goes on as though nothing had been.
fn withstands(name: &str) {
    assert_eq!(attack(name, Company::Alone).end, End::Code(0), "alone");
    let outcome = attack(name, Company::Witness);
    assert_eq!(
        (outcome.end, outcome.stdout.as_slice()),
        (End::Code(0), &b"code 0\n"[..]),
        "{}",
        outcome.complaint()
    );
}

/// The process that does it ends, and no other.
fn ends_the_attacker(name: &str) {
    assert!(matches!(attack(name, Company::Alone).end, End::Signal(_) | End::Code(125)), "{name}");
    let outcome = attack(name, Company::Witness);
    assert_eq!(outcome.end, End::Code(0), "the witness: {}", outcome.complaint());
}

/// Other processes of the run may end by it, with a line that says so, but never see memory that is not
/// theirs.
fn may_end_the_run(name: &str) {
    for company in [Company::Alone, Company::Witness] {
        let outcome = attack(name, company);
        let said = outcome.complaint();
        assert!(
            outcome.end == End::Code(0) || said.contains("pager"),
            "{name}: {:?} without a word: {said}",
            outcome.end
        );
        assert!(said.lines().count() < 10, "{name}: {said}");
    }
}

macro_rules! attacks {
    ($check:ident: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $check(stringify!($name));
            }
        )*
    };
}

attacks!(withstands:
    unmap_runtime jump_into smash_the_stack return_from_nowhere exhaust_areas fork_bomb
    limit_file_size limit_data limit_address_space limit_the_rest
    close_descriptors mark_descriptors write_to_descriptors cut_descriptors
    disable_dispatch forbid_everything call_as_32_bit trace_itself odd_processor_state
);

attacks!(ends_the_attacker: unmap_everything overwrite_with_zeros overwrite_with_ones overwrite_at_random use_its_syscall);

attacks!(may_end_the_run: overwrite_shared_with_zeros overwrite_shared_with_ones overwrite_shared_at_random);

/// Each attack that the guest knows has its test here.
#[test]
fn every_attack_is_made() {
    let run = integration::run::Run::new(guests::build("hostile", Link::Dynamic));
    let named = String::from_utf8(run.outcome().stdout).expect("names are text");
    let source = include_str!("hostile.rs");
    let missing = named.lines().filter(|name| *name != "nothing" && !source.contains(&format!(" {name}")));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
}
