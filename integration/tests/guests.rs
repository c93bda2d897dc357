//! Every guest natively and under the pager: the same output, the same end, at no cap and at small ones.
//!
//! Assumes: gcc, userfaultfd, syscall user dispatch. Needs no mount.

use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::run::{End, Run};

/// Long enough for the slowest guest at the smallest cap on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
const NO_ARGUMENTS: [&str; 0] = [];

/// A program's end, standard output and standard error.
type Told = (End, String, String);

fn prepare(run: Run, arguments: &[&str]) -> Run {
    run.args(arguments).env("GUEST_WORD", "a word").env("GUEST_EMPTY", "").limit(LIMIT)
}

fn told(outcome: &integration::run::Outcome) -> Told {
    (outcome.end, String::from_utf8_lossy(&outcome.stdout).into_owned(), outcome.complaint())
}

/// Runs `guest` both ways and compares what a user sees; standard error only when the guest ended by itself,
/// because a death by signal gets the pager's diagnosis.
fn same(guest: &str, link: Link, arguments: &[&str], cap: Option<&str>) {
    same_under(guest, link, arguments, cap.map_or_else(Paging::new, |cap| Paging::new().resident(cap)));
}

fn same_under(guest: &str, link: Link, arguments: &[&str], paging: Paging) {
    let program = guests::build(guest, link);
    let native = told(&prepare(Run::new(&program), arguments).outcome());
    let paged = told(&paging.run(&program, |run| prepare(run, arguments)).outcome);
    let expect_equal_errors = matches!(native.0, End::Code(_));
    assert_eq!((native.0, &native.1), (paged.0, &paged.1), "native, then paged; it said: {}", paged.2);
    assert!(
        !expect_equal_errors || native.2 == paged.2,
        "standard error, native: {:?}, paged: {:?}",
        native.2,
        paged.2
    );
}

macro_rules! guest {
    ($name:ident) => {
        guest!($name, NO_ARGUMENTS);
    };
    ($name:ident, $arguments:expr) => {
        mod $name {
            use super::*;

            const NAME: &str = stringify!($name);

            #[test]
            fn without_a_cap() {
                same(NAME, Link::Dynamic, &$arguments, None);
            }

            #[test]
            fn in_1_mebibyte() {
                same(NAME, Link::Dynamic, &$arguments, Some("1M"));
            }

            #[test]
            fn in_256_kibibytes() {
                same(NAME, Link::Dynamic, &$arguments, Some("256K"));
            }

            #[test]
            fn with_every_fault_a_sigsegv() {
                let paging = Paging::new().resident("1M").option("--engine", "sigsegv");
                same_under(NAME, Link::Dynamic, &$arguments, paging);
            }

            #[test]
            fn with_every_fault_a_sigbus() {
                let paging = Paging::new().resident("1M").option("--engine", "uffd");
                same_under(NAME, Link::Dynamic, &$arguments, paging);
            }

            #[test]
            fn with_every_fault_a_message() {
                let paging = Paging::new().resident("1M").option("--engine", "thread");
                same_under(NAME, Link::Dynamic, &$arguments, paging);
            }
        }
    };
}

guest!(aborts);
guest!(action_flags);
guest!(advices);
guest!(assorted);
guest!(bad_pointers);
guest!(big_buffers);
guest!(brk_heap);
guest!(call_registers);
guest!(clone_words);
guest!(close_all);
guest!(deep_stack);
guest!(denied_execution);
guest!(equal_filters);
guest!(exec_rules);
guest!(exec_self);
guest!(exit_code);
guest!(few_descriptors);
guest!(file_private);
guest!(fork_threads);
guest!(fork_tree);
guest!(futex_file);
guest!(half_open);
guest!(interrupted_calls);
guest!(itimer);
guest!(jumps);
guest!(keys);
guest!(listed_memory);
guest!(load_library);
guest!(lock_stress);
guest!(lodging_tracer);
guest!(made_code);
guest!(map_walk);
guest!(namespace_init);
guest!(null_read);
guest!(own_attributes);
guest!(own_descriptors);
guest!(own_proc, ["one", "", "three"]);
guest!(own_segv);
guest!(ping_pong);
guest!(pipes_open);
guest!(pthreads);
guest!(processor_flags);
guest!(punched_holes);
guest!(random_access, ["8"]);
guest!(records);
guest!(remote_memory);
guest!(registers);
guest!(reservations);
guest!(run_data);
guest!(sandboxes);
guest!(segments);
guest!(sent_faults);
guest!(shared_buffers);
guest!(shared_descriptors);
guest!(shared_memory);
guest!(shared_readonly);
guest!(shared_writers);
guest!(signals_mask);
guest!(signals_nested);
guest!(signals_queue);
guest!(signals_restart);
guest!(sigreturn_states);
guest!(spawn);
guest!(stack_overflow);
guest!(start_up, ["one", "", "three words here"]);
guest!(terminated);
guest!(thread_exits);
guest!(threads_churn, ["4"]);
guest!(vectors);
guest!(vfork_churn);
guest!(tracers);
guest!(vsyscall_page);
guest!(wait_many);
guest!(waiting_masks);
guest!(where_loaded);
guest!(write_barrier);
guest!(write_text);

/// At a fixed address: some filters look at where calls are made.
mod seccomp_verdicts {
    use super::*;

    fn under(paging: Paging) {
        same_under("seccomp_verdicts", Link::FixedDynamic, &["1", "150"], paging);
    }

    #[test]
    fn without_a_cap_and_in_1_mebibyte() {
        under(Paging::new());
        under(Paging::new().resident("1M"));
    }

    #[test]
    fn with_each_engine() {
        for engine in ["sigsegv", "uffd", "thread"] {
            under(Paging::new().option("--engine", engine));
        }
    }
}

/// Not at caps of a few pages: what ends by a signal has its robust list gone through by the kernel, which
/// brings nothing back in.
mod robust_ends {
    use super::*;

    #[test]
    fn without_a_cap() {
        same("robust_ends", Link::Dynamic, &NO_ARGUMENTS, None);
    }

    #[test]
    fn in_4_mebibytes() {
        for engine in ["auto", "sigsegv", "uffd", "thread"] {
            let paging = Paging::new().resident("4M").option("--engine", engine);
            same_under("robust_ends", Link::Dynamic, &NO_ARGUMENTS, paging);
        }
    }
}

/// Each process with the cap to itself, which is not what the guests above have: those that start processes.
mod with_a_cap_for_each {
    use super::*;

    #[test]
    fn process() {
        for guest in ["exec_self", "fork_threads", "fork_tree", "spawn", "wait_many"] {
            let paging = Paging::new().resident("256K").option("--children", "own");
            same_under(guest, Link::Dynamic, &NO_ARGUMENTS, paging);
        }
    }
}

/// The ways of linking that distributions use less, for the guests whose start-up and memory differ by them.
mod linked {
    use super::*;

    const GUESTS: [&str; 10] = [
        "start_up",
        "own_segv",
        "fork_tree",
        "map_walk",
        "thread_exits",
        "registers",
        "brk_heap",
        "exit_code",
        "null_read",
        "where_loaded",
    ];

    fn each(link: Link) {
        for guest in GUESTS {
            for cap in [None, Some("1M")] {
                same(guest, link, &NO_ARGUMENTS, cap);
            }
        }
    }

    #[test]
    fn at_a_fixed_address() {
        each(Link::FixedDynamic);
    }

    #[test]
    fn statically() {
        each(Link::Static);
    }

    #[test]
    fn statically_and_position_independent() {
        each(Link::StaticPie);
    }
}

/// Each guest's own output does not change from run to run: else the comparisons above mean nothing.
#[test]
fn guests_repeat_themselves() {
    for source in std::fs::read_dir(guests::sources()).expect("the guests' folder can be read") {
        let source = source.expect("the guests' folder can be read").path();
        let (Some("c"), Some(name)) =
            (source.extension().and_then(|e| e.to_str()), source.file_stem().and_then(|n| n.to_str()))
        else {
            continue;
        };
        // These tell of their own time and process.
        if [
            "call_times",
            "crowd",
            "daemon",
            "fault_times",
            "holds",
            "refusals",
            // Wants a seed.
            "seccomp_verdicts",
            "share",
            "sharing_times",
            "spins",
            // Asks whoever started it to trace it.
            "tracer_refusals",
            "walker",
            "work_times",
        ]
        .contains(&name)
        {
            continue;
        }
        let program = guests::build(name, Link::Dynamic);
        let run = || told(&prepare(Run::new(&program), &NO_ARGUMENTS).outcome());
        let first = run();
        assert_ne!(first.0, End::Code(99), "{name}: {}", first.2);
        assert_eq!(first, run(), "{name}");
    }
}
