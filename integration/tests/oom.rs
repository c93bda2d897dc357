//! `pager oom`: how little memory, without swap, a program still ends in.
//!
//! Assumes gcc, userfaultfd, syscall user dispatch. Needs no mount.

use std::time::Duration;

use integration::binaries;
use integration::guests::{self, Link};
use integration::report::Report;
use integration::run::{End, Run};
use integration::scratch::Scratch;
use integration::tools;

const LIMIT: Duration = Duration::from_secs(120);

fn asked(options: &[&str], program: &[&str]) -> integration::run::Outcome {
    Run::new(binaries::pager()).arg("oom").args(options).arg("--").args(program).limit(LIMIT).outcome()
}

/// What a program has written to has to stay. 6 MiB of it are the least, and little comes on top.
#[test]
fn what_was_written_to_is_what_a_program_needs() {
    tools::require(&[tools::PYTHON]);
    let program = "held = bytearray(b'x') * (6 << 20)\nassert held.count(b'x') == 6 << 20";
    let outcome = asked(&["--json", "--patience", "3"], &[tools::PYTHON.path, "-S", "-E", "-c", program]);
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    let answer = Report::parse(&String::from_utf8_lossy(&outcome.stdout));
    let (smallest, peak) = (answer.number("smallest_cap_bytes"), answer.number("uncapped_peak_bytes"));
    assert!(smallest > 6 << 20 && smallest <= peak, "{smallest} of {peak}");
    assert!(answer.number("too_small_bytes") < smallest);
    let ends: Vec<String> = answer.list("tries").iter().map(|one| one.text("end")).collect();
    assert!(ends.iter().any(|end| end == "out_of_memory"), "{ends:?}");
}

/// Pages of files come back from where they came from: they need not fit.
#[test]
fn a_file_that_is_only_read_needs_little_memory() {
    tools::require(&[tools::PYTHON]);
    const BYTES: u64 = 24 << 20;
    let scratch = Scratch::new("oom");
    let file = scratch.join("file");
    std::fs::write(&file, vec![b'y'; BYTES as usize]).expect("room for a file");
    let program = "import mmap, os, sys\n\
        m = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)\n\
        assert m.find(b'z') == -1";
    let file = file.to_str().expect("text");
    let outcome =
        asked(&["--json", "--patience", "3"], &[tools::PYTHON.path, "-S", "-E", "-c", program, file]);
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    let answer = Report::parse(&String::from_utf8_lossy(&outcome.stdout));
    let (smallest, peak) = (answer.number("smallest_cap_bytes"), answer.number("uncapped_peak_bytes"));
    assert!(peak > BYTES && smallest < BYTES, "{smallest} of {peak}");
}

/// What is told to people: the memory, what happens in less, and what to ask next.
#[test]
fn the_text_says_what_it_dies_of_and_what_to_ask_next() {
    let program = guests::build("random_access", Link::Dynamic);
    let outcome = asked(&["--patience", "3"], &[program.to_str().expect("text")]);
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    for part in ["without swap; left to itself it has", "it is ended: swap is full", "next    pager need -- "]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_program_that_fails_by_itself_is_said_to() {
    let outcome = asked(&[], &["/bin/false"]);
    assert_eq!((outcome.end, outcome.stdout.len()), (End::Code(1), 0));
    assert!(outcome.complaint().contains("does not end well"), "{}", outcome.complaint());
}
