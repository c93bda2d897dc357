//! Rules of a live mount: changing them, and every way in which that is refused.

mod fixture;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use fixture::*;

fn throttle(mount: &Mount, arguments: &[&str]) -> std::process::Output {
    finish(program().arg("throttle").arg(mount.point()).args(arguments))
}

#[test]
fn rules_change_while_files_are_open() {
    with_mount(
        &["--swap", "s:1M", "--throttle", "swap/*: latency=1ms", "--write-bw", "1M"],
        |_| {},
        |mount| {
            let file = OpenOptions::new().write(true).open(mount.at("swap/s")).unwrap();
            let waits = || {
                let began = Instant::now();
                file.write_all_at(&[1; 512], 0).unwrap();
                began.elapsed()
            };
            assert!(waits() >= Duration::from_millis(1));
            let rules = fs::read_to_string(mount.at(".swapfs/throttle")).unwrap();
            assert_eq!(rules.lines().count(), 2, "{rules}");
            assert!(throttle(mount, &["--set", "swap/x: bw=1", "--set", "swap/s: latency=200ms"]).status.success());
            assert!(waits() >= Duration::from_millis(200));
            assert!(throttle(mount, &["--clear"]).status.success());
            assert!(waits() < Duration::from_millis(200));
            fs::write(mount.at(".swapfs/throttle"), "# by hand\nswap/**: write-latency=150ms\n").unwrap();
            assert!(waits() >= Duration::from_millis(150));
            let shown = throttle(mount, &["--json"]);
            let lines: Vec<String> = serde_json::from_slice(&shown.stdout).unwrap();
            assert_eq!(lines, ["swap/**: write-latency=150ms, burst=0"]);
        },
    );
}

#[test]
fn a_wrong_line_changes_nothing_and_says_where() {
    with_mount(
        &["--swap", "s:1M", "--throttle", "**: bw=1M"],
        |_| {},
        |mount| {
            let rules = fs::read_to_string(mount.at(".swapfs/throttle")).unwrap();
            let output = throttle(mount, &["--set", "**: bw=2M", "--set", "**: bw=2M, speed=3"]);
            assert!(!output.status.success());
            assert!(complaint(&output).contains("line 2, column 12: unknown key `speed`"), "{}", complaint(&output));
            assert_eq!(errno(fs::write(mount.at(".swapfs/throttle"), "nonsense")), 22);
            assert_eq!(errno(fs::write(mount.at(".swapfs/throttle"), [0xff; 9])), 22);
            assert_eq!(fs::read_to_string(mount.at(".swapfs/throttle")).unwrap(), rules);
            assert!(!throttle(mount, &["--file", "/no/such/file"]).status.success());
        },
    );
    let output = finish(program().args(["mount", "--swap", "s:1M", "--throttle", "x: bw=", "/"]));
    assert_eq!(output.status.code(), Some(2), "{}", complaint(&output));
    let profiles = finish(program().arg("profiles"));
    assert!(String::from_utf8_lossy(&profiles.stdout).contains("hdd-7200"));
}
