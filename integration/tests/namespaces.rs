//! Programs in namespaces and containers: what works there, and what is said where it cannot. `pager/docs/CONTAINERS.md` has it as a table.
//!
//! Assumes: root, gcc, userfaultfd, syscall user dispatch, user namespaces, seccomp filters, `unshare` and `setpriv` (util-linux).

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::{binaries, tools};

const LIMIT: Duration = Duration::from_secs(120);
/// Somebody without privileges.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/// Numbers of system calls, for the filters.
const USERFAULTFD: &str = "323";
const PRCTL: &str = "157";
const EXECVEAT: &str = "322";
const MEMFD_CREATE: &str = "319";
/// mount, umount2, unshare, setns, bpf, perf_event_open, add_key, request_key, keyctl, init_module, kexec_load, reboot, pivot_root, chroot, ptrace.
const PRIVILEGED: &str = "165,166,272,308,321,298,248,249,250,175,246,169,155,161,101";
const EPERM: &str = "1";
const ENOSYS: &str = "38";

/// A place to start `pager run` in.
struct Place {
    /// As in the table.
    name: &'static str,
    /// What starts it there.
    by: Vec<String>,
}

fn words(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(str::to_owned).collect()
}

/// As nobody, under a filter that does `action` at the system calls `calls`.
fn forbidden(name: &'static str, action: &str, calls: &str) -> Place {
    let filter = guests::build("forbidding", Link::Static);
    Place { name, by: words(&[&NOBODY, &[&filter.to_string_lossy(), action, calls]]) }
}

/// In a mount namespace with an empty file system at `point`.
fn emptied(name: &'static str, point: &str) -> Place {
    let script = format!("mount -t tmpfs none {point} && exec \"$@\"");
    Place { name, by: words(&[&NOBODY, &["unshare", "-r", "-m", "sh", "-c", &script, "sh"]]) }
}

fn places() -> Vec<Place> {
    let no_privileges = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"];
    let filter = guests::build("forbidding", Link::Static);
    let by_root = words(&[&[&filter.to_string_lossy(), EPERM, USERFAULTFD]]);
    vec![
        Place { name: "a user who is not root", by: words(&[&NOBODY]) },
        Place { name: "no capabilities, no new privileges", by: words(&[&NOBODY, &no_privileges]) },
        Place { name: "a user namespace of its own", by: words(&[&NOBODY, &["unshare", "-r"]]) },
        emptied("no /proc", "/proc"),
        emptied("an empty /dev", "/dev"),
        Place { name: "no directory for temporary files", by: words(&[&NOBODY, &["env", "TMPDIR=/proc"]]) },
        forbidden("userfaultfd answers EPERM", EPERM, USERFAULTFD),
        forbidden("userfaultfd answers ENOSYS", ENOSYS, USERFAULTFD),
        forbidden("userfaultfd kills", "kill", USERFAULTFD),
        Place { name: "userfaultfd answers EPERM, the device may be opened", by: by_root },
        forbidden("prctl answers EPERM", EPERM, PRCTL),
        forbidden("execveat answers EPERM", EPERM, EXECVEAT),
        forbidden("memfd_create answers EPERM", EPERM, MEMFD_CREATE),
        forbidden("mount, unshare, setns, ptrace, bpf, keyctl and others answer EPERM", EPERM, PRIVILEGED),
    ]
}

/// The table of the documentation: what comes of it and what is said, by place.
fn table() -> HashMap<String, (String, String)> {
    let text = std::fs::read_to_string(binaries::workspace().join("pager/docs/CONTAINERS.md")).expect("readable");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    cells.map(|cells| (cells[0].clone(), (cells[1].clone(), cells[2].clone()))).collect()
}

/// Starts `pager ARGUMENTS` at a place.
fn pager_at(place: &Place, arguments: &[&str]) -> Outcome {
    let command = Run::new(&place.by[0]).args(&place.by[1..]).arg(binaries::pager());
    command.args(arguments).limit(LIMIT).outcome()
}

#[test]
fn the_table_holds() {
    let table = table();
    let places = places();
    assert_eq!(places.len(), table.len(), "each row is a place, and each place a row");
    for place in &places {
        let (comes_of_it, said) = table.get(place.name).unwrap_or_else(|| panic!("{} is no row", place.name));
        let run =
            pager_at(place, &["run", "--resident", "1M", "--stats", "none", "--", "/bin/sh", "-c", "echo hi | cat"]);
        let complaint = run.complaint();
        match comes_of_it.as_str() {
            "works" => assert_eq!(
                (run.end, run.stdout.as_slice()),
                (End::Code(0), &b"hi\n"[..]),
                "{}: {complaint}",
                place.name
            ),
            "does not run" => {
                assert_eq!(run.end, End::Code(1), "{}: {complaint}", place.name);
                assert!(complaint.contains(said.as_str()), "{}: {complaint}", place.name);
            }
            other => panic!("{}: what is {other:?}?", place.name),
        }
    }
}

#[test]
fn the_doctor_says_which_rule_forbids() {
    for (action, said) in [(EPERM, "Operation not permitted"), ("kill", "a seccomp filter kills who makes this call")] {
        let outcome = pager_at(&forbidden("", action, USERFAULTFD), &["doctor"]);
        let told = String::from_utf8_lossy(&outcome.stdout).into_owned();
        assert_eq!(outcome.end, End::Code(1), "{told}");
        assert!(told.contains("have its profile allow the system call userfaultfd") && told.contains(said), "{told}");
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
        assert_eq!((paged.end, &paged.stdout), (native.end, &native.stdout), "{engine}: {}", paged.complaint());
    }
}

/// Processes that are known by their outer numbers are in the report, with their ends, and no counter is below zero.
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

/// What sandboxes are made of.
#[test]
fn bubblewrap_works_inside_a_run() {
    if tools::in_path("bwrap").is_none() {
        eprintln!("bubblewrap is not installed: not checked");
        return;
    }
    let arguments = ["--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--proc", "/proc"];
    let more = ["--dev", "/dev", "--tmpfs", "/tmp", "sh", "-c", "echo $$; (exit 3) || echo $?; ls /tmp | wc -l"];
    let native = Run::new("bwrap").args(arguments).args(more).limit(LIMIT).outcome();
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    for options in [&[][..], &[("--resident", "1M")], &[("--resident", "4M"), ("--engine", "sigsegv")]] {
        let paging = options.iter().fold(Paging::new(), |paging, (name, value)| paging.option(name, value));
        let paged = paging.run("bwrap", |run| run.args(arguments).args(more).limit(LIMIT)).outcome;
        assert_eq!((paged.end, &paged.stdout), (native.end, &native.stdout), "{options:?}: {}", paged.complaint());
    }
}
