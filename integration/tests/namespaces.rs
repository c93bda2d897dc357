//! Programs in namespaces and containers: what works there, and what is said where it cannot.
//! `pager/docs/CONTAINERS.md` has it as a table.
//!
//! Assumes: root, gcc, userfaultfd, syscall user dispatch, user namespaces, seccomp filters, `unshare` and
//! `setpriv` (util-linux).

use std::path::Path;
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::places::{self, DEEDS};
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::{binaries, tools};

const LIMIT: Duration = Duration::from_secs(120);

/// Of a machine of the newest kernel; `cargo kernels` compares the same on older ones.
#[test]
fn the_table_holds() {
    let places = places::all(&guests::build("forbidding", Link::Static));
    assert_eq!(
        places.len() + DEEDS.len(),
        places::row_count(),
        "each row is a place or a deed, and each of these a row"
    );
    for place in &places {
        place.check(&binaries::pager()).unwrap_or_else(|difference| panic!("{difference}"));
    }
}

#[test]
fn what_a_user_in_a_container_does_comes_out_as_told() {
    let places = places::all(&guests::build("forbidding", Link::Static));
    for deed in DEEDS {
        deed.check(&places, &binaries::pager(), false).unwrap_or_else(|difference| panic!("{difference}"));
    }
}

#[test]
fn the_doctor_says_which_rule_forbids() {
    let places = places::all(&guests::build("forbidding", Link::Static));
    for (name, said) in [
        ("userfaultfd answers EPERM", "Operation not permitted"),
        ("userfaultfd kills", "a seccomp filter kills who makes this call"),
    ] {
        let place = places.iter().find(|place| place.name == name).expect("a row");
        let outcome = place.run(&binaries::pager(), &["doctor"]);
        let told = String::from_utf8_lossy(&outcome.stdout).into_owned();
        assert_eq!(outcome.end, End::Code(1), "{told}");
        assert!(
            told.contains("have its profile allow the system call userfaultfd") && told.contains(said),
            "{told}"
        );
    }
}

/// With each engine, as the first process of a PID namespace.
fn inside(guest: &Path, options: &[(&str, &str)], prefix: &[&str]) -> Outcome {
    let paging = options.iter().fold(Paging::new(), |paging, (name, value)| paging.option(name, value));
    paging.run(prefix[0], |run| run.args(&prefix[1..]).arg(guest).limit(LIMIT)).outcome
}

#[test]
fn the_memory_of_what_is_killed_inside_comes_back() {
    let guest = guests::build("killed_inside", Link::Dynamic);
    let native = Run::new("unshare").args(["-r", "-p", "-f"]).arg(&guest).limit(LIMIT).outcome();
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    for (engine, prefix) in [
        ("auto", &["unshare", "-r", "-p", "-f"][..]),
        ("sigsegv", &["unshare", "-r", "-p", "-f"]),
        ("uffd", &["unshare", "-r", "-p", "-f", "--mount-proc"]),
        ("thread", &["unshare", "-p", "-f"]),
    ] {
        let paged = inside(&guest, &[("--resident", "1M"), ("--engine", engine)], prefix);
        assert_eq!(
            (paged.end, &paged.stdout),
            (native.end, &native.stdout),
            "{engine}: {}",
            paged.complaint()
        );
    }
}

/// Processes that are known by their outer numbers are in the report, with their ends, and no counter is
/// below zero.
#[test]
fn the_report_of_a_namespace_adds_up() {
    let scratch = Scratch::new("namespaces");
    let file = scratch.join("report.json");
    let guest = guests::build("killed_inside", Link::Dynamic);
    let command = Paging::new().resident("1M").command("unshare", &file);
    let outcome = command.args(["-r", "-p", "-f"]).arg(guest).limit(LIMIT).outcome();
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    let report = integration::report::Report::read(&file);
    let rows = report.list("process_table");
    // Those killed before they ran have no row: 24 others exited, beside unshare and its child.
    assert_eq!(report.number("processes"), 50, "unshare's child and its 49");
    assert!(rows.len() >= 26, "{} rows", rows.len());
    for row in &rows {
        assert!(row.has("exit"), "nobody is left: {row:?}");
        assert!(row.number("resident_peak_bytes") <= 1 << 20, "{row:?}");
    }
    assert_eq!(report.number("resident_now_bytes"), 0, "and nothing of them");
}

/// The kernel gives it every process whose parent has ended; natively the program would be the one to reap.
#[test]
fn a_pager_that_is_the_first_process_reaps_orphans() {
    let dead = "for orphan in 1 2 3 4 5; do (sleep 0.05 &); done; sleep 0.4; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l; exit 5";
    let scratch = Scratch::new("orphans");
    let inside = ["-p", "-f", "--mount-proc"];
    let run = Run::new("unshare").args(inside).arg(binaries::pager()).args(["run", "--stats", "none", "--"]);
    let outcome = run.args(["sh", "-c", dead]).folder(scratch.path()).limit(LIMIT).outcome();
    assert_eq!(
        (outcome.end, outcome.stdout.as_slice()),
        (End::Code(5), &b"0\n"[..]),
        "{}",
        outcome.complaint()
    );
}

/// What sandboxes are made of.
#[test]
fn bubblewrap_works_inside_a_run() {
    if tools::in_path("bwrap").is_none() {
        eprintln!("bubblewrap is not installed: not checked");
        return;
    }
    let arguments =
        ["--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--proc", "/proc"];
    let more =
        ["--dev", "/dev", "--tmpfs", "/tmp", "sh", "-c", "echo $$; (exit 3) || echo $?; ls /tmp | wc -l"];
    let native = Run::new("bwrap").args(arguments).args(more).limit(LIMIT).outcome();
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    for options in [&[][..], &[("--resident", "1M")], &[("--resident", "4M"), ("--engine", "sigsegv")]] {
        let paging = options.iter().fold(Paging::new(), |paging, (name, value)| paging.option(name, value));
        let paged = paging.run("bwrap", |run| run.args(arguments).args(more).limit(LIMIT)).outcome;
        assert_eq!(
            (paged.end, &paged.stdout),
            (native.end, &native.stdout),
            "{options:?}: {}",
            paged.complaint()
        );
    }
}

/// A daemon that pages itself from nothing of its own: mounts in a user and a mount namespace, serves reads
/// and writes, and is unmounted.
const SERVING: &str = "set -e
    mkdir m src && seq 1 90000 > src/numbers && dd if=/dev/urandom of=noise bs=64k count=64 2> /dev/null
    $0 run --resident $2 --stats none -- $1 mount --images src --swap s:16M m > said 2>&1 &
    until test -e m/images/src/numbers; do kill -0 $! || { cat said; exit 1; }; sleep 0.05; done
    cmp src/numbers m/images/src/numbers
    dd if=noise of=m/swap/s bs=64k conv=notrunc,fsync 2> /dev/null
    cmp -n 4194304 noise m/swap/s
    dd if=m/swap/s bs=64k count=64 iflag=direct 2> /dev/null | cmp - noise
    $1 unmount m
    wait $!
    ls m | wc -l";

#[test]
fn a_paged_swapfs_serves_in_a_user_namespace() {
    for cap in ["64M", "6M"] {
        let scratch = Scratch::new("serving");
        let namespace = Run::new("unshare").args(["-r", "-m", "-p", "-f", "sh", "-c", SERVING]);
        let run = namespace.arg(binaries::pager()).arg(binaries::swapfs()).arg(cap);
        let outcome = run.folder(scratch.path()).limit(LIMIT).outcome();
        assert_eq!(
            (outcome.end, outcome.stdout.as_slice()),
            (End::Code(0), &b"0\n"[..]),
            "{cap}: {}",
            outcome.complaint()
        );
    }
}
