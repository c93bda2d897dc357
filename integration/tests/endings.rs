//! A run that was told to end ends: by a second SIGTERM, ten seconds after the first, or a second interrupt;
//! with every process of it, wherever it lives. `pager/docs/ENDINGS.md` says what is promised.
//!
//! Assumes: gcc, userfaultfd, syscall user dispatch, user namespaces (`unshare -r`).

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use integration::guests::{self, Link};
use integration::{binaries, processes};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What hangs for so long hangs for ever, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How the program is started: by itself, in a user namespace, as the first process of a PID namespace in a
/// user namespace.
const PLACES: [&[&str]; 3] = [&[], &["unshare", "-r"], &["unshare", "-r", "-p", "-f"]];

/// A run of the guest `stubborn`. Dropping it kills what is left.
struct Stubborn {
    supervisor: Child,
    /// Kept open: nobody is to die of a closed pipe.
    _stdout: BufReader<ChildStdout>,
    mark: String,
}

impl Stubborn {
    fn start(place: &[&str]) -> Stubborn {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let mark = format!("stubborn-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(binaries::pager());
        command.args(["run", "--resident", "8M", "--stats", "none", "--"]).args(place);
        command.arg(guests::build("stubborn", Link::Dynamic)).arg(&mark);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut supervisor = command.spawn().expect("pager starts");
        let mut stdout = BufReader::new(supervisor.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("readable");
        let run = Stubborn { supervisor, _stdout: stdout, mark };
        assert_eq!(line, "ready\n");
        run
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.supervisor.id() as i32), signal).expect("the supervisor runs");
    }

    /// All processes that bear the mark, the supervisor not among them.
    fn left(&self) -> Vec<processes::Process> {
        let own = self.supervisor.id() as i32;
        let marked = |process: &processes::Process| {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == self.mark.as_bytes())
        };
        processes::all().into_iter().filter(|one| one.state != 'Z' && one.pid != own && marked(one)).collect()
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = processes::wait_until(PATIENCE, || {
            status = self.supervisor.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        assert!(ended, "the run goes on: {:?}", self.left());
        assert!(processes::wait_until(PATIENCE, || self.left().is_empty()), "left: {:?}", self.left());
        status.expect("it has ended")
    }

    fn keeper(&self) -> i32 {
        let own = self.supervisor.id() as i32;
        let tree = processes::tree(own);
        tree.iter().find(|one| one.parent == own && one.name == "pager-keeper").expect("a keeper").pid
    }
}

impl Drop for Stubborn {
    fn drop(&mut self) {
        for process in self.left() {
            let _gone = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        let _gone = self.supervisor.kill();
        let _gone = self.supervisor.wait();
    }
}

fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::SIGKILL as i32)
}

#[test]
fn a_second_sigterm_ends_every_process() {
    for place in PLACES {
        let mut run = Stubborn::start(place);
        run.signal(Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(200));
        assert!(run.left().len() >= 3, "one SIGTERM is the program's business: {:?}", run.left());
        run.signal(Signal::SIGTERM);
        assert!(was_killed(run.end()), "{place:?}");
    }
}

#[test]
fn ten_seconds_after_a_sigterm_every_process_is_ended() {
    let mut run = Stubborn::start(PLACES[2]);
    let begin = Instant::now();
    run.signal(Signal::SIGTERM);
    assert!(was_killed(run.end()));
    assert!(
        begin.elapsed() >= Duration::from_secs(10),
        "{:?} is less than the program was promised",
        begin.elapsed()
    );
}

#[test]
fn a_second_interrupt_ends_every_process() {
    for place in PLACES {
        let mut run = Stubborn::start(place);
        run.signal(Signal::SIGINT);
        std::thread::sleep(Duration::from_millis(200));
        run.signal(Signal::SIGINT);
        assert!(was_killed(run.end()), "{place:?}");
    }
}

/// The first process of a PID namespace takes no SIGKILL from inside it, and the lifeline's comes from there.
#[test]
fn nothing_in_a_namespace_survives_supervisor_and_keeper() {
    for (place, both) in [(PLACES[2], false), (PLACES[2], true), (PLACES[0], true)] {
        let mut run = Stubborn::start(place);
        if both {
            kill(Pid::from_raw(run.keeper()), Signal::SIGKILL).expect("the keeper runs");
        }
        run.signal(Signal::SIGKILL);
        assert!(was_killed(run.end()), "{place:?}");
    }
}
