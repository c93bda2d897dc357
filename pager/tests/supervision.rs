//! The supervisor by itself: exit statuses, signals, streams, stops and reports, with a shell in the
//! runtime's place (see `support::SHELL`).
//!
//! Needs a kernel on which `pager doctor` says that `pager run` works, and `/bin/sh`.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use support::pager_process;

/// Runs `script` to its end.
fn run(options: &[&str], script: &str) -> Output {
    pager_process()
        .arg("run")
        .args(options)
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::null())
        .output()
        .expect("runs")
}

/// A run that goes on; `script` says `ready` when it is.
struct Running {
    supervisor: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(options: &[&str], script: &str) -> Running {
        let mut command = pager_process();
        command.arg("run").args(options).args(["--", "sh", "-c", script]);
        // A group of its own, so that what is meant for it does not reach the test.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut supervisor = command.spawn().expect("runs");
        let stdout = BufReader::new(supervisor.stdout.take().expect("piped"));
        let mut running = Running { supervisor, stdout };
        assert_eq!(running.line(), "ready");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("readable");
        line.trim_end().to_owned()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.supervisor.id()).expect("a process id"))
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("alive");
    }

    fn end(mut self) -> (std::process::ExitStatus, String) {
        let mut errors = String::new();
        self.supervisor.stderr.take().expect("piped").read_to_string(&mut errors).expect("text");
        (self.supervisor.wait().expect("a status"), errors)
    }
}

/// A script that says it is ready, and its process id, and then only waits; traps come first.
fn waiting(traps: &str) -> String {
    format!("{traps} echo ready; echo $$; while :; do sleep 0.01; done")
}

fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn the_exit_status_and_the_streams_are_the_programs() {
    let output = run(&["--stats", "none"], "echo out; echo err >&2; exit 42");
    assert_eq!(output.status.code(), Some(42));
    assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
}

#[test]
fn a_death_by_signal_is_passed_on_without_a_core() {
    for signal in [Signal::SIGSEGV, Signal::SIGKILL, Signal::SIGTERM] {
        let output = run(&["--stats", "none"], &format!("kill -{} $$", signal as i32));
        assert_eq!(output.status.signal(), Some(signal as i32));
        assert!(!output.status.core_dumped());
    }
    assert_eq!(run(&["--stats", "none"], "kill -40 $$").status.signal(), Some(40));
}

/// `nix` knows none of them.
#[test]
fn real_time_signals_reach_the_program_too() {
    for number in ["34", "37", "64"] {
        let mut running = Running::start(
            &["--stats", "none"],
            &waiting(&format!("trap 'echo got {number}; exit 7' {number};")),
        );
        running.line();
        let pid = running.pid().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{number}"), &pid]).status();
        assert!(sent.expect("kill can be started").success());
        assert_eq!(running.line(), format!("got {number}"));
        assert_eq!(running.end().0.code(), Some(7));
    }
}

/// Timers last through exec, and the program natively has those of whoever executed it.
#[test]
fn an_alarm_that_was_set_before_is_the_programs() {
    let script = "trap 'echo rang; exit 8' ALRM; while :; do sleep 0.01; done";
    // Debian's base system has it.
    let mut command = std::process::Command::new("perl");
    command.args(["-e", "alarm 1; exec @ARGV", "--"]).arg(assert_cmd::cargo::cargo_bin!("pager"));
    command.args(["run", "--stats", "none", "--", "sh", "-c", script]);
    command.env("PAGER_RUNTIME", support::SHELL).stdin(Stdio::null());
    let output = command.output().expect("runs");
    assert_eq!((output.status.code(), output.stdout), (Some(8), b"rang\n".to_vec()));
}

#[test]
fn signals_sent_to_the_supervisor_reach_the_program() {
    for (signal, name) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGINT, "INT"),
        (Signal::SIGQUIT, "QUIT"),
        (Signal::SIGUSR2, "USR2"),
        (Signal::SIGWINCH, "WINCH"),
    ] {
        let running = Running::start(&["--stats", "none"], &waiting(&format!("trap 'exit 9' {name};")));
        running.signal(signal);
        assert_eq!(running.end().0.code(), Some(9), "{name}");
    }
}

#[test]
fn an_unhandled_signal_kills_both() {
    let running = Running::start(&["--stats", "none"], &waiting(""));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0.signal(), Some(15));
}

#[test]
fn a_signal_of_the_program_to_its_group_is_not_sent_twice() {
    let script = "trap 'echo got' TERM; echo ready; kill -TERM 0; sleep 0.2; exit 3";
    let mut running = Running::start(&["--stats", "none"], script);
    assert_eq!((running.line(), running.line()), ("got".to_owned(), String::new()));
    assert_eq!(running.end().0.code(), Some(3));
}

#[test]
fn usr1_shows_a_report_and_the_program_goes_on() {
    let running = Running::start(&["--stats", "none"], &waiting("trap 'exit 5' TERM;"));
    running.signal(Signal::SIGUSR1);
    std::thread::sleep(Duration::from_millis(200));
    running.signal(Signal::SIGTERM);
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(5));
    assert!(errors.contains("runs since") && errors.contains("faults"), "{errors}");
}

#[test]
fn the_program_dies_with_the_supervisor() {
    let mut running = Running::start(&["--stats", "none"], &waiting("trap '' TERM;"));
    let program = Pid::from_raw(running.line().parse().expect("a process id"));
    running.signal(Signal::SIGKILL);
    assert_eq!(running.supervisor.wait().expect("a status").signal(), Some(9));
    let gone = || kill(program, None).is_err() || is_zombie(program);
    assert!(within(Duration::from_secs(1), gone));
}

fn is_zombie(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_stop_is_shared_and_so_is_going_on() {
    let running = Running::start(&["--stats", "none"], &waiting("trap 'exit 6' TERM;"));
    running.signal(Signal::SIGTSTP);
    let news = waitpid(running.pid(), Some(WaitPidFlag::WUNTRACED)).expect("news");
    assert_eq!(news, WaitStatus::Stopped(running.pid(), Signal::SIGSTOP));
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGCONT);
    assert_eq!(running.end().0.code(), Some(6));
}

#[test]
fn a_daemon_outlives_the_run() {
    let running = Running::start(&["--stats", "none"], "(sleep 5 >/dev/null 2>&1 & echo ready; echo $!)");
    let mut running = running;
    let daemon = Pid::from_raw(running.line().parse().expect("a process id"));
    assert_eq!(running.end().0.code(), Some(0));
    kill(daemon, Signal::SIGKILL).expect("still alive");
}

#[test]
fn the_environment_is_passed_on_in_order_with_ours_at_the_end() {
    let environment = |command: &mut std::process::Command| {
        command
            .env_clear()
            .env("PAGER_RUNTIME", "/usr/bin/env")
            .env("ZEBRA", "1")
            .env("APPLE", "2")
            .env("PATH", "/usr/bin:/bin");
        command.env("__PAGER", "stale");
        String::from_utf8(command.output().expect("runs").stdout).expect("text")
    };
    let native = environment(&mut std::process::Command::new("/usr/bin/env"));
    let run = environment(pager_process().args(["run", "--stats", "none", "--", "env"]));
    let (ours, theirs): (Vec<&str>, Vec<&str>) = run.lines().partition(|line| line.starts_with("__PAGER="));
    let native: Vec<&str> = native.lines().filter(|line| !line.starts_with("__PAGER=")).collect();
    assert_eq!(theirs, native);
    assert!(
        ours.len() == 1 && ours[0].ends_with("/usr/bin/env") && ours[0].split(':').count() == 12,
        "{ours:?}"
    );
    assert!(run.lines().last().is_some_and(|line| line == ours[0]));
}

#[test]
fn the_descriptors_that_ours_names_are_open_and_high() {
    let script = r#"IFS=:; set -- ${__PAGER#}; for fd in $1 $2; do test $fd -gt 100 && test -e /proc/self/fd/$fd && echo open; done"#;
    assert_eq!(run(&["--stats", "none"], script).stdout, b"open\nopen\n");
}

#[test]
fn nothing_of_ours_is_open_at_low_numbers() {
    let low = |output: Output| -> Vec<u32> {
        let text = String::from_utf8(output.stdout).expect("numbers");
        text.lines().filter_map(|line| line.parse().ok()).filter(|&fd| fd < 100).collect()
    };
    let script = "ls /proc/self/fd";
    let native = std::process::Command::new("/bin/sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert_eq!(low(run(&["--stats", "none"], script)), low(native));
}

#[test]
fn signal_actions_and_mask_are_the_callers() {
    let script = "grep -E 'SigBlk|SigIgn' /proc/self/status";
    let native = std::process::Command::new("/bin/sh").args(["-c", script]).output().expect("runs");
    assert_eq!(run(&["--stats", "none"], script).stdout, native.stdout);
    let ignoring = |command: &str| {
        let line = format!("trap '' PIPE CHLD INT; {command}");
        let mut shell = std::process::Command::new("/bin/sh");
        shell.env("PAGER_RUNTIME", support::SHELL).args(["-c", &line]).output().expect("runs").stdout
    };
    let pager = assert_cmd::cargo::cargo_bin!("pager").display();
    let paged = ignoring(&format!("{pager} run --stats none -- sh -c \"{script}\""));
    assert_eq!(
        String::from_utf8_lossy(&paged),
        String::from_utf8_lossy(&ignoring(&format!("sh -c \"{script}\"")))
    );
}

#[test]
fn the_report_is_text_or_json_or_a_file() {
    let text = String::from_utf8(run(&[], "exit 1").stderr).expect("text");
    assert!(text.starts_with("pager: /") && text.contains("exited with 1"), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&run(&["--stats", "json"], "exit 1").stderr).expect("JSON");
    assert_eq!((json["complete"].as_bool(), json["exit"]["code"].as_u64()), (Some(true), Some(1)));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("report.json");
    let output = run(&["--resident", "1M", "--stats", path.to_str().expect("text")], "exit 0");
    assert!(output.stderr.is_empty());
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).expect("written")).expect("JSON");
    assert_eq!(json["cap_bytes"].as_u64(), Some(1 << 20));
}

#[test]
fn two_runs_cannot_share_a_swap_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = support::file(directory.path(), "swap", 1 << 20);
    let swap = path.to_str().expect("text");
    let running = Running::start(&["--stats", "none", "--swap", swap], &waiting(""));
    assert_eq!(run(&["--swap", swap], "true").status.code(), Some(1));
    running.signal(Signal::SIGTERM);
    running.end();
    // A process of the run may outlive its shell by a moment, and still use the file.
    assert!(within(Duration::from_secs(1), || run(&["--swap", swap], "true").status.code() == Some(0)));
}

#[test]
fn a_report_that_nobody_reads_changes_nothing() {
    let mut command = pager_process();
    command
        .args(["run", "--", "sh", "-c", "exit 7"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut supervisor = command.spawn().expect("runs");
    drop(supervisor.stderr.take());
    assert_eq!(supervisor.wait().expect("a status").code(), Some(7));
}
