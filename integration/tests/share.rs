//! One cap for all processes of a run: `pager run --children share`.
//!
//! Assumes: gcc, userfaultfd, syscall user dispatch. Needs no mount.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::report::Report;
use integration::resident::held_by;
use integration::run::{End, Run};
use integration::scratch::Scratch;
use integration::{STATED_SLACK_BYTES, binaries, processes, tools};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

fn shared(cap: &str) -> Paging {
    Paging::new().resident(cap).option("--children", "share")
}

/// A run under way. Ends with the test, however that ends.
struct Paged {
    pager: Child,
    lines: Receiver<String>,
    scratch: Scratch,
}

impl Drop for Paged {
    fn drop(&mut self) {
        let _ = self.pager.kill();
        let _ = self.pager.wait();
    }
}

impl Paged {
    /// Starts `script` in a shell, the programs of which get the input of the run as descriptor 3.
    fn start(cap: &str, script: &str) -> Paged {
        let scratch = Scratch::new("share");
        let mut command = Command::new(binaries::pager());
        command
            .args(["run", "--children", "share", "--resident", cap, "--stats"])
            .arg(scratch.join("report.json"));
        command.args(["--", "/bin/sh", "-c", &format!("exec 3<&0; {script}")]);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut pager = started.expect("pager can be started");
        let lines = lines_of(pager.stdout.take().expect("piped"));
        Paged { pager, lines, scratch }
    }

    fn line(&mut self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line in time")
    }

    fn pid(&mut self) -> i32 {
        self.line().parse().expect("a process id")
    }

    /// Ends the input and waits for the end of the run; its report.
    fn finish(&mut self) -> Report {
        drop(self.pager.stdin.take());
        let ended = processes::wait_until(LIMIT, || self.pager.try_wait().expect("a child").is_some());
        assert!(ended, "the run does not end");
        Report::read(&self.scratch.join("report.json"))
    }
}

fn bytes(pid: i32) -> u64 {
    held_by(pid).map_or(0, |held| held.bytes)
}

/// Lines as they come, so that they can be waited for with a limit.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

/// What the processes below `root` hold together, and how many there are.
fn together(root: i32) -> (u64, u64) {
    let tree = processes::tree(root);
    let members = tree.iter().filter(|process| process.pid != root && process.name != "pager-keeper");
    let (held, count) = members.fold((0, 0), |(held, count), process| (held + bytes(process.pid), count + 1));
    (held, count)
}

fn walker(mib: u64) -> String {
    format!("{} {mib} <&3", guests::build("walker", Link::Dynamic).display())
}

fn holder() -> String {
    format!("{} <&3", guests::build("holds", Link::Dynamic).display())
}

/// Four processes of twice the cap each: together they stay within it, and lose nothing.
#[test]
fn the_cap_holds_for_all_processes_together() {
    const CAP: u64 = 16 * MIB;
    let guest = guests::build("share", Link::Dynamic);
    let arguments = ["4", "32", "2"];
    let native = Run::new(&guest).args(arguments).limit(LIMIT).outcome();
    let scratch = Scratch::new("share");
    let file = scratch.join("report.json");
    let mut command = Command::new(binaries::pager());
    command
        .args(["run", "--children", "share", "--resident", "16M", "--stats"])
        .arg(&file)
        .arg("--")
        .arg(guest);
    let mut pager = command.args(arguments).stdout(Stdio::piped()).spawn().expect("pager can be started");
    let root = i32::try_from(pager.id()).expect("a process number is an i32");
    let (mut most, mut beyond) = (0, None);
    let ended = processes::wait_until(2 * LIMIT, || {
        let (held, count) = together(root);
        most = most.max(held);
        if held > CAP + count * STATED_SLACK_BYTES {
            beyond = Some((held, count));
        }
        pager.try_wait().expect("a child can be waited for").is_some()
    });
    if !ended {
        let _ = pager.kill();
    }
    let mut told = String::new();
    let _ = pager.stdout.take().expect("piped").read_to_string(&mut told);
    assert!(ended && told.as_bytes() == native.stdout, "{told:?}");
    assert_eq!(beyond, None, "bytes together, and processes");
    assert!(most > CAP / 2, "{} MiB together: the cap is not used", most / MIB);
    let report = Report::read(&file);
    assert!(report.number("resident_all_peak_bytes") <= CAP, "{report:?}");
    assert_eq!(report.text("children"), "share");
    let peaks: Vec<u64> =
        report.list("process_table").iter().map(|row| row.number("resident_peak_bytes")).collect();
    assert!(peaks.len() == 5 && peaks.iter().all(|peak| *peak <= CAP), "{peaks:?}");
}

/// Memory of a process that sleeps goes to one that works.
#[test]
fn what_sleeps_gives_way_to_what_works() {
    let mut run = Paged::start("16M", &format!("{} & {} & wait", holder(), walker(32)));
    let told = [run.line(), run.line(), run.line()];
    let named = |pid: &i32| processes::look_up(*pid).is_some_and(|process| process.name == "walker");
    let walker =
        told.iter().filter_map(|line| line.parse().ok()).find(named).expect("the walker says its number");
    let grown = processes::wait_until(LIMIT, || bytes(walker) > 12 * MIB);
    assert!(grown, "{} MiB", bytes(walker) / MIB);
    let report = run.finish();
    assert!(report.number("resident_all_peak_bytes") <= 16 * MIB, "{report:?}");
}

/// The credit of a process that is killed is for the others: again and again, until nothing would be left.
#[test]
fn what_a_killed_process_had_comes_back() {
    const KILLS: usize = 6;
    let script = format!("for n in 1 2 3 4 5 6; do {} & wait $!; done; {}", walker(32), walker(32));
    let mut run = Paged::start("16M", &script);
    for killed in 0..=KILLS {
        let pid = run.pid();
        assert_eq!(run.line(), "everywhere");
        let grown = processes::wait_until(LIMIT, || bytes(pid) > 12 * MIB);
        assert!(grown, "{} MiB after {killed} kills", bytes(pid) / MIB);
        if killed < KILLS {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        }
    }
    run.finish();
}

/// A process that is stopped cannot give anything up: the others make do with what there is.
#[test]
fn nobody_waits_for_a_process_that_is_stopped() {
    let until_stopped = "until grep -q '^State:.T' /proc/$!/status; do sleep 0.02; done";
    let mut run = Paged::start("8M", &format!("{} & {until_stopped}; {}; kill -9 $!", holder(), walker(4)));
    let rich = run.pid();
    kill(Pid::from_raw(rich), Signal::SIGSTOP).expect("it runs");
    run.pid();
    assert_eq!(run.line(), "everywhere");
    run.finish();
}

#[test]
fn a_crowd_that_does_not_fit_is_told_so_by_fork() {
    const LEAST_PER_PROCESS: u64 = 64 * 4096;
    let guest = guests::build("crowd", Link::Dynamic);
    let run = shared("2M").run(guest, |run| run.arg("40").limit(LIMIT));
    assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
    let told = String::from_utf8_lossy(&run.outcome.stdout).into_owned();
    let rounds: Vec<(u64, i32)> = told
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(count, errno)| Some((count.parse().ok()?, errno.parse().ok()?)))
        .collect();
    // For sixteen there is room beyond the cap.
    let most = 2 * MIB / LEAST_PER_PROCESS + 16;
    assert_eq!(rounds, [(most - 1, nix::libc::EAGAIN); 3], "{told}");
}

/// Children that were killed before they ran any code have no part in the cap any more.
#[test]
fn what_is_killed_before_it_runs_costs_no_credit() {
    let script = guests::build("cut_down", Link::Dynamic).display().to_string();
    let mut run = Paged::start("8M", &format!("{script}; exec {}", walker(16)));
    assert!(run.line().starts_with("cut_down"));
    let pid = run.pid();
    assert!(processes::wait_until(LIMIT, || bytes(pid) > 7 * MIB), "{} KiB", bytes(pid) / 1024);
    run.finish();
}

/// Programs that start, end and are executed leave nothing behind: at the end the cap is all there.
#[test]
fn starts_and_ends_cost_no_credit() {
    let script = "n=0; while [ $n -lt 40 ]; do /bin/true; (:); n=$((n+1)); done; exec";
    let mut run = Paged::start("4M", &format!("{script} {}", walker(16)));
    let pid = run.pid();
    assert!(processes::wait_until(LIMIT, || bytes(pid) > 3 * MIB), "{} KiB", bytes(pid) / 1024);
    let report = run.finish();
    let peak = report.list("process_table").iter().map(|row| row.number("resident_peak_bytes")).max();
    assert!(peak.is_some_and(|peak| peak <= 4 * MIB && peak > 3 * MIB), "{peak:?}");
    assert!(report.number("execs") >= 42);
}

#[test]
fn pipelines_say_what_they_say_natively() {
    let script = "seq 1 30000 | awk '{print ($1*7919)%10007}' | sort | uniq -c | sort -rn | tail -n 20
        for n in 1 2 3; do (seq $n 20000 | sort -r | cksum) & wait; done
        echo $(expr 1 + 2) `/bin/echo three`; (exit 3); echo $?";
    let native = Run::new("/bin/sh").args(["-c", script]).limit(LIMIT).outcome();
    for cap in ["3M", "6M"] {
        let paged = shared(cap).run("/bin/sh", |run| run.args(["-c", script]).limit(2 * LIMIT));
        assert_eq!(
            String::from_utf8_lossy(&paged.outcome.stdout),
            String::from_utf8_lossy(&native.stdout),
            "in {cap}: {}",
            paged.outcome.complaint()
        );
    }
}

/// Python's own processes: pools, pipes, a manager, each forked from an interpreter of many pages.
#[test]
fn forked_workers_of_an_interpreter_share_the_cap() {
    let script = "import multiprocessing as m
m.set_start_method('fork')
def work(n):
    data = [n * i for i in range(100000)]
    return sum(data)
with m.Pool(4) as pool: print(pool.map(work, range(12)))";
    let native = Run::new(tools::PYTHON.path).args(["-c", script]).limit(LIMIT).outcome();
    let paged = shared("16M").run(tools::PYTHON.path, |run| run.args(["-c", script]).limit(2 * LIMIT));
    assert_eq!(
        (paged.outcome.end, &paged.outcome.stdout),
        (native.end, &native.stdout),
        "{}",
        paged.outcome.complaint()
    );
    assert!(paged.report().number("resident_all_peak_bytes") <= 16 * MIB);
}

/// A limit is for all of them, whichever is named.
#[test]
fn a_limit_holds_for_all_together() {
    let mut run = Paged::start("100M", &format!("{} & {} & wait", holder(), holder()));
    let holders = [run.pid(), run.pid()];
    let sum = || holders.iter().map(|pid| bytes(*pid)).sum::<u64>();
    assert!(sum() >= 80 * MIB);
    let limit = |pid: i32, size: &str| {
        let status = Command::new(binaries::pager()).args(["limit", &pid.to_string(), size]).status();
        assert!(status.expect("pager can be started").success());
    };
    limit(holders[1], "8M");
    let lowered = processes::wait_until(LIMIT, || sum() <= 8 * MIB + 2 * STATED_SLACK_BYTES);
    assert!(lowered, "{} MiB", sum() / MIB);
    limit(holders[0], "none");
    run.finish();
}

/// Pokes reach whoever waits, and must not wake them.
#[test]
fn a_wait_is_not_cut_short_by_a_poke() {
    let guest = guests::build("undisturbed", Link::Dynamic);
    let mut command = Command::new(binaries::pager());
    command.args(["run", "--resident", "8M", "--children", "share", "--stats", "none", "--"]).arg(guest);
    let mut pager = command.stdout(Stdio::piped()).spawn().expect("pager can be started");
    let mut pokes = 0;
    let ended = processes::wait_until(LIMIT, || {
        // The keeper's name shows once the program can be found; before that there is nobody to poke.
        let status = Command::new(binaries::pager())
            .args(["limit", &pager.id().to_string(), "8M"])
            .stderr(Stdio::null())
            .status();
        pokes += u32::from(status.expect("pager can be started").success());
        pager.try_wait().expect("a child").is_some()
    });
    let mut told = String::new();
    let _ = pager.stdout.take().expect("piped").read_to_string(&mut told);
    let status = pager.wait().expect("a child");
    assert!(ended && status.success() && told.starts_with("undisturbed"), "{status} {told:?}");
    assert!(pokes >= 4, "{pokes}");
}
