//! The same again and again, where what goes wrong goes wrong once in thousands: memory calls against fork,
//! exec, tracers and exit, processes that are killed inside namespaces, and the pager that is killed beside or
//! inside one. No hang, no count below zero, nobody left.
//!
//! Assumes: gcc, userfaultfd, syscall user dispatch, user namespaces (`unshare -r`). `INTEGRATION_FULL=1`
//! does 10,000 rounds of each.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use integration::guests::{self, Link};
use integration::report::Report;
use integration::scratch::Scratch;
use integration::workloads::Scale;
use integration::{binaries, processes, traces};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What hangs for so long hangs for ever, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest for one round, on a machine that is busy with others.
const ROUND: Duration = Duration::from_millis(500);
/// A report of what runs is asked for so often.
const ASKED_EVERY: Duration = Duration::from_millis(300);
/// Processes of a namespace are told from outside by this.
const NAMESPACE: [&str; 4] = ["unshare", "-r", "-p", "-f"];

/// A run under the pager whose report is in a file. Dropping it kills what is left.
struct Rounds {
    pager: Child,
    scratch: Scratch,
    begin: Instant,
    limit: Duration,
}

impl Rounds {
    fn start(options: &[&str], command: &[&str], rounds: u32) -> Rounds {
        let scratch = Scratch::new("rounds");
        let create = |name| std::fs::File::create(scratch.join(name)).expect("a scratch file");
        let mut pager = Command::new(binaries::pager());
        pager.arg("run").args(options).arg("--stats").arg(scratch.join("report")).arg("--").args(command);
        pager.current_dir(scratch.path()).stdin(Stdio::null()).stdout(create("out")).stderr(create("err"));
        let pager = pager.spawn().expect("pager starts");
        Rounds { pager, scratch, begin: Instant::now(), limit: PATIENCE + ROUND * rounds }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch.join(name)).unwrap_or_default()
    }

    /// The report, if it is whole.
    fn report(&self) -> Option<Report> {
        let text = self.text("report");
        serde_json::from_str::<serde_json::Value>(&text).is_ok().then(|| Report::parse(&text))
    }

    /// Waits for the end, which has to be `output`, and looks at the report on the way. What was said, for
    /// messages.
    fn end(mut self, output: &str) -> Report {
        let pid = Pid::from_raw(i32::try_from(self.pager.id()).expect("a process number is an i32"));
        let mut reports = 0;
        let status = loop {
            let over =
                processes::wait_until(ASKED_EVERY, || self.pager.try_wait().expect("a child").is_some());
            if over {
                break self.pager.wait().expect("a child");
            }
            assert!(self.begin.elapsed() < self.limit, "it hangs: {}", self.text("err"));
            if let Some(report) = self.report() {
                assert_eq!(report.below_zero(), Vec::<String>::new(), "while it runs");
                reports += 1;
            }
            kill(pid, Signal::SIGUSR1).expect("the pager runs");
        };
        assert_eq!((status.code(), self.text("out").as_str()), (Some(0), output), "{}", self.text("err"));
        let report = self.report().expect("the last report is whole");
        assert_eq!(report.below_zero(), Vec::<String>::new());
        println!("{:.1?}, {reports} reports, {} processes", self.begin.elapsed(), report.number("processes"));
        report
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        if matches!(self.pager.try_wait(), Ok(None)) {
            processes::kill_tree(i32::try_from(self.pager.id()).expect("a process number is an i32"));
            let _gone = self.pager.wait();
        }
    }
}

/// Memory calls against all that copies or stops the process; each engine a part of the rounds.
#[test]
fn memory_calls_against_forks_tracers_and_ends() {
    let rounds: u32 = Scale::asked().pick(8, 2000);
    let guest = guests::build("lock_stress", Link::Dynamic);
    let guest = guest.to_string_lossy();
    for options in [
        &["--resident", "256K"][..],
        &["--engine", "auto"],
        &["--resident", "1M", "--engine", "sigsegv"],
        &["--resident", "1M", "--engine", "uffd"],
        &["--resident", "1M", "--engine", "thread"],
    ] {
        print!("{rounds} rounds, {options:?}: ");
        let run = Rounds::start(options, &[&guest, &rounds.to_string(), "rounds"], rounds);
        let report = run.end("lock_stress 0000000000000000\n");
        assert_eq!(report.number("resident_now_bytes"), 0, "{options:?}");
    }
    traces::none_of(Path::new(guest.as_ref()));
}

/// Children are killed in a PID namespace, where they are known by other numbers; what each had is needed by
/// the next.
#[test]
fn children_that_are_killed_in_a_namespace() {
    let rounds: u32 = Scale::asked().pick(8, 2500);
    let guest = guests::build("killed_inside", Link::Static);
    let guest = guest.to_string_lossy();
    let amount = rounds.to_string();
    let output = format!("killed_inside {:016x}\n", u64::from(rounds) << 32 | u64::from(rounds));
    for options in [
        &["--resident", "1M"][..],
        &["--resident", "1M", "--engine", "sigsegv"],
        &["--resident", "1M", "--engine", "uffd"],
        &["--engine", "auto"],
    ] {
        print!("{rounds} rounds, {options:?}: ");
        let command = [&NAMESPACE[..], &[&guest, &amount]].concat();
        let report = Rounds::start(options, &command, rounds).end(&output);
        assert_eq!(report.number("resident_now_bytes"), 0, "{options:?}");
        assert!(
            report.list("process_table").iter().all(|row| row.has("exit")),
            "somebody is left: {options:?}"
        );
    }
    traces::none_of(Path::new(guest.as_ref()));
}

/// A run that is about to lose its pager. Dropping it kills what is left.
struct Doomed {
    started: Child,
    /// An argument of all its processes that no other process has.
    mark: String,
}

impl Doomed {
    /// The pager outside, with the program in a namespace, or both inside.
    fn start(round: u32, guest: &str) -> Doomed {
        let mark = format!("doomed-{}-{round}", std::process::id());
        let engine = ["auto", "sigsegv", "uffd", "thread"][round as usize / 2 % 4];
        let pager = binaries::pager().to_string_lossy().into_owned();
        let run = [&pager, "run", "--resident", "1M", "--engine", engine, "--stats", "none", "--"];
        let words = match round % 2 {
            // A thread of the pager's is one too many for a user namespace of its own.
            0 if engine == "thread" => [&run[..], &["unshare", "-p", "-f"]].concat(),
            0 => [&run[..], &NAMESPACE].concat(),
            _ => [&NAMESPACE[..], &run].concat(),
        };
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args([guest, "1000000", &mark]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Doomed { started: command.spawn().expect("it starts"), mark }
    }

    fn number(&self) -> i32 {
        i32::try_from(self.started.id()).expect("a process number is an i32")
    }

    /// The pager, once there is one: what was started, or the only child of that.
    fn pager(&self, round: u32) -> Option<i32> {
        let tree = processes::tree(self.number());
        let pager = tree.into_iter().nth(round as usize % 2).filter(|process| process.name == "pager");
        pager.map(|process| process.pid)
    }

    fn is_left(&self) -> bool {
        let mentions = |pid: i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&self.mark)
        };
        processes::all().iter().any(|process| process.state != 'Z' && mentions(process.pid))
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        processes::kill_tree(self.number());
        let _gone = self.started.wait();
    }
}

#[test]
fn a_pager_that_is_killed_leaves_nobody_in_a_namespace() {
    let rounds: u32 = Scale::asked().pick(8, 10_000);
    let guest = guests::build("killed_inside", Link::Dynamic);
    let guest = guest.to_string_lossy();
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let mut run = Doomed::start(round, &guest);
        let mut pager = None;
        assert!(processes::wait_until(PATIENCE, || {
            pager = run.pager(round);
            pager.is_some()
        }));
        // From before the program runs to the middle of its work; no two rounds at the same moment.
        std::thread::sleep(Duration::from_millis(u64::from(round * 37 % 150)));
        kill(Pid::from_raw(pager.expect("awaited")), Signal::SIGKILL).expect("the pager runs");
        let begin = Instant::now();
        assert!(processes::wait_until(PATIENCE, || !run.is_left()), "round {round}: somebody is left");
        slowest = slowest.max(begin.elapsed());
        run.started.wait().expect("a child");
    }
    println!("{rounds} rounds, the slowest end took {slowest:.1?}");
}
