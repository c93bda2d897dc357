//! What becomes of the processes that a paged program starts: `pager run --children`.
//!
//! Assumes: gcc, userfaultfd, syscall user dispatch. Needs no mount.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::{PagedOutcome, Paging};
use integration::report::Report;
use integration::resident::held_by;
use integration::run::{End, Run};
use integration::scratch::Scratch;
use integration::{STATED_SLACK_BYTES, binaries, tools};

const LIMIT: Duration = Duration::from_secs(40);
/// What the guest `holds` holds.
const HELD: u64 = 40 << 20;
const CAP: u64 = 8 << 20;

/// Ends the run when the test ends, however it ends.
struct Paged(Child);

impl Drop for Paged {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shell(paging: &Paging, script: &str) -> PagedOutcome {
    paging.run("/bin/sh", |run| run.args(["-c", script]).limit(LIMIT))
}

fn native_children() -> Paging {
    Paging::new().option("--children", "native")
}

fn stdout(outcome: &PagedOutcome) -> String {
    String::from_utf8_lossy(&outcome.outcome.stdout).into_owned()
}

#[test]
fn native_children_are_counted_and_keep_their_statuses() {
    let run =
        shell(&native_children(), "/bin/true; /bin/sh -c 'exit 3'; echo $?; /nowhere/program 2>&-; echo $?");
    assert_eq!(
        (run.outcome.end, stdout(&run).as_str()),
        (End::Code(0), "3\n127\n"),
        "{}",
        run.outcome.complaint()
    );
    let report = run.report();
    assert_eq!(
        (report.number("execs"), report.number("execs_native_children"), report.number("execs_native")),
        (1, 2, 0)
    );
    let sentences = format!("{:?}", report.at("unmanaged"));
    assert!(sentences.contains("2 programs of children ran natively"), "{sentences}");
    assert_eq!(run.outcome.complaint(), "", "without -v nothing is said of them");
}

/// The program itself may execute another one: only what it starts is a child.
#[test]
fn what_the_first_process_executes_itself_stays_paged() {
    let run = shell(&native_children(), "exec /bin/sh -c 'exec /bin/sh -c \"exit 5\"'");
    assert_eq!(run.outcome.end, End::Code(5), "{}", run.outcome.complaint());
    assert_eq!((run.report().number("execs"), run.report().number("execs_native_children")), (3, 0));
}

/// Descriptors, signal mask and dispositions, huge pages: nothing of ours follows into a native child.
#[test]
fn a_native_child_inherits_what_it_would_without_pager() {
    let script = "ls /proc/self/fd; grep -E 'Sig(Blk|Ign|Cgt)|THP|Seccomp' /proc/self/status; env | sort; :";
    let native = Run::new("/bin/sh").args(["-c", script]).limit(LIMIT).outcome();
    let paged = shell(&native_children(), script);
    assert_eq!(stdout(&paged), String::from_utf8_lossy(&native.stdout));
    assert_eq!(paged.report().number("execs_native_children"), 4);
}

/// Starts `holds` as a child of a shell under a cap of 8 MiB; what it holds once it says that it does.
fn held_by_a_child(children: &str) -> u64 {
    let guest = guests::build("holds", Link::Dynamic);
    let mut command = Command::new(binaries::pager());
    command.args([
        "run",
        "-v",
        "--resident",
        "8M",
        "--children",
        children,
        "--stats",
        "none",
        "--",
        "/bin/sh",
        "-c",
    ]);
    let script = format!("{}; :", guest.display());
    let started =
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut paged = Paged(started.expect("pager can be started"));
    let mut lines = BufReader::new(paged.0.stdout.take().expect("piped")).lines();
    let pid: i32 =
        lines.next().expect("the guest says a line").expect("text").parse().expect("its process id");
    let bytes = held_by(pid).expect("the guest waits").bytes;
    drop(paged.0.stdin.take());
    let told: Vec<String> = BufReader::new(paged.0.stderr.take().expect("piped"))
        .lines()
        .map(|line| line.expect("text"))
        .collect();
    let line = format!("{} runs natively, unpaged: --children native", guest.display());
    assert_eq!(told.iter().any(|told| told.ends_with(&line)), children == "native", "{told:?}");
    bytes
}

#[test]
fn a_native_child_is_outside_the_cap_and_a_paged_one_within() {
    assert!(held_by_a_child("native") >= HELD);
    assert!(held_by_a_child("own") <= CAP + STATED_SLACK_BYTES);
}

/// Whatever a child had swapped out when it became a native program: by the user's wish, or because it is
/// setuid.
#[test]
fn the_swap_of_what_becomes_native_comes_back() {
    let scratch = Scratch::new("native-exec");
    let setuid = scratch.join("setuid-true");
    std::fs::copy("/bin/true", &setuid).expect("copied");
    std::fs::set_permissions(&setuid, Permissions::from_mode(0o4755)).expect("its own file");
    let guest = guests::build("native_exec", Link::Dynamic);
    for (paging, program) in [(native_children(), Path::new("/bin/true")), (Paging::new(), &setuid)] {
        let run = paging.resident("1M").run(&guest, |run| run.arg(program).limit(LIMIT));
        assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
        let report = run.report();
        assert_eq!(report.number("execs_native_children") + report.number("execs_native"), 6);
        assert!(report.number("swap.peak_bytes") > 6 << 20);
        assert_eq!(report.number("swap.used_bytes"), 0, "{}", program.display());
    }
}

/// How a row of the report's table ends: its kind, and its code or signal.
fn end(row: &Report) -> String {
    let kind = row.text("exit.kind");
    match kind.as_str() {
        "unseen" => kind,
        _ => format!("{kind} {}", row.number(&format!("exit.{kind}"))),
    }
}

fn rows(report: &Report) -> Vec<(String, String)> {
    report.list("process_table").iter().map(|row| (row.text("started"), end(row))).collect()
}

#[test]
fn the_report_has_a_row_for_each_process_with_its_start_and_end() {
    let script = "/bin/sh -c 'exit 3'; (exit 4); /bin/sh -c 'kill -9 $$'; /bin/sh -c 'kill -TERM $$; :' & wait $!; exit 5";
    let expected = [
        ("first", "code 5"),
        ("exec", "code 3"),
        ("fork", "code 4"),
        ("exec", "signal 9"),
        ("exec", "signal 15"),
    ];
    let expected: Vec<_> = expected.map(|(start, end)| (start.to_owned(), end.to_owned())).into();
    let report = shell(&Paging::new(), script).report();
    assert_eq!(rows(&report), expected);
    assert_eq!(report.number("process_table_dropped"), 0);
    let programs: Vec<String> = report.list("process_table").iter().map(|row| row.text("program")).collect();
    assert!(programs.iter().all(|program| program.ends_with("sh")), "{programs:?}");
    let native = shell(&native_children(), script).report();
    let starts: Vec<String> = native.list("process_table").iter().map(|row| row.text("started")).collect();
    assert_eq!(starts, ["first", "native", "fork", "native", "native"]);
    assert_eq!(
        native.list("process_table").iter().map(end).collect::<Vec<_>>(),
        expected.iter().map(|row| row.1.clone()).collect::<Vec<_>>()
    );
}

/// Two counts of the same: faults by process, and durations of faults by value.
#[test]
fn the_rows_add_up_to_the_sums_of_the_run() {
    let program = guests::build("fork_tree", Link::Dynamic);
    let run = Paging::new().resident("1M").run(&program, |run| run.limit(LIMIT));
    assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
    let report = run.report();
    let rows = report.list("process_table");
    assert_eq!(rows.len(), 15);
    let sum: u64 = rows.iter().map(|row| row.number("faults")).sum();
    assert_eq!(sum, report.number("fault_time.count"));
    let largest = |key: &str| rows.iter().map(|row| row.number(key)).max();
    assert_eq!(largest("resident_peak_bytes"), Some(report.number("resident_peak_bytes")));
    assert!(rows.iter().all(|row| row.number("swap_peak_bytes") > 1 << 20), "2 MiB do not fit in 1");
}

/// What could not be paged is told by process and kind.
#[test]
fn the_rows_say_what_was_left_to_the_kernel() {
    const SHARED: u64 = 8 << 20;
    let script = "import mmap, os\nm = mmap.mmap(-1, 8 << 20)\npid = os.fork()\nif pid: os.waitpid(pid, 0)";
    let run = Paging::new().run(tools::PYTHON.path, |run| run.args(["-c", script]).limit(LIMIT));
    assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
    let rows = run.report().list("process_table");
    let shared: Vec<u64> = rows.iter().map(|row| row.number("unmanaged_shared_bytes")).collect();
    assert!(shared.len() == 2 && shared.iter().all(|bytes| *bytes >= SHARED), "{shared:?}");
    assert!(rows.iter().all(|row| row.number("unmanaged_huge_bytes") == 0));
}
