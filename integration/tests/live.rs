//! Runs under way, seen from outside: `pager stat`, `pager top`, `pager watch`.
//!
//! Assumes: gcc, userfaultfd, and `script` (Debian's `bsdutils`), which gives a screen its terminal.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use integration::binaries;
use integration::paged::{Holding, Paging};
use serde_json::Value;

/// A guest that holds 40 MiB and waits, under a cap of 100.
fn start() -> Holding {
    Paging::new().resident("100M").hold("none")
}

fn pager(words: &[&str]) -> Output {
    Command::new("timeout")
        .arg("20")
        .arg(binaries::pager())
        .args(words)
        .output()
        .expect("pager can be started")
}

fn stat(pid: u32) -> Value {
    serde_json::from_slice(&pager(&["stat", &pid.to_string(), "--json"]).stdout).expect("JSON")
}

#[test]
fn a_run_is_seen_from_outside_by_any_of_its_processes() {
    let paged = start();
    let supervisor = paged.pager.id();
    for pid in [supervisor, paged.program] {
        let seen = stat(pid);
        assert_eq!(seen["supervisor_pid"].as_u64(), Some(supervisor.into()));
        assert_eq!((seen["cap_bytes"].as_u64(), seen["complete"].as_bool()), (Some(100 << 20), Some(false)));
        let resident = seen["resident_now_bytes"].as_u64().expect("a number");
        assert!((40 << 20..100 << 20).contains(&resident), "{resident}");
        assert!(seen["program"].as_str().is_some_and(|path| path.ends_with("/holds")), "{seen}");
        assert!(seen["elapsed_ns"].as_u64().is_some_and(|elapsed| elapsed < 60_000_000_000), "{seen}");
    }
    let supervisor = supervisor.to_string();
    let table = pager(&["stat", &supervisor, "--interval", "0.1", "--count", "2"]).stdout;
    let table = String::from_utf8(table).expect("text");
    assert_eq!(table.lines().count(), 3, "a head and two lines: {table}");
    let text = String::from_utf8(pager(&["stat", &supervisor]).stdout).expect("text");
    assert!(text.contains("runs since") && text.contains("resident"), "{text}");
    let all = String::from_utf8(pager(&["top", "--json"]).stdout).expect("text");
    let runs: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let is_ours = |run: &&Value| run["supervisor_pid"].as_u64() == Some(paged.pager.id().into());
    assert_eq!(runs.iter().filter(is_ours).count(), 1, "once, although two processes have it");
}

#[test]
fn what_is_not_paged_is_named() {
    let own = std::process::id().to_string();
    for words in [["stat", &own], ["watch", &own], ["stat", "4000000"]] {
        let output = pager(&words);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words[1]) && said.lines().count() == 1, "{said}");
    }
}

/// A real terminal: the screen is drawn, a key changes the cap, another ends it.
#[test]
fn the_cap_is_changed_from_the_screen() {
    let paged = start();
    let line = format!(
        "stty rows 24 cols 80; exec {} watch {} --interval 0.1",
        binaries::pager().display(),
        paged.program
    );
    let mut command = Command::new("timeout");
    command.args(["20", "script", "--quiet", "--return", "--command", &line, "/dev/null"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("TERM", "xterm").spawn();
    let mut screen = child.expect("script can be started");
    let mut keys = screen.stdin.take().expect("piped");
    let begin = Instant::now();
    // A key that comes before the terminal is set up is lost.
    while stat(paged.program)["cap_bytes"].as_u64() != Some(90 << 20) {
        assert!(begin.elapsed() < Duration::from_secs(15), "{}", stat(paged.program)["cap_bytes"]);
        keys.write_all(b"-").expect("the screen takes keys");
        std::thread::sleep(Duration::from_millis(300));
    }
    keys.write_all(b"q").expect("the screen takes keys");
    let output = screen.wait_with_output().expect("it ends");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("holds") && shown.contains("90M"), "{shown}");
    assert!(shown.contains("\x1b[?1049l"), "the terminal is as it was: {shown}");
}
