//! The cap of a run is changed while it runs.
//!
//! Assumes: userfaultfd, syscall user dispatch, gcc. Needs no mount.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use integration::guests::{self, Link};
use integration::{STATED_SLACK_BYTES, binaries};

const HELD: u64 = 40 << 20;

/// Ends the run when the test ends, however it ends.
struct Paged(Child);

impl Drop for Paged {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the program runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel tells VmRSS");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kilobytes << 10
}

fn limit(pid: u32, size: &str) -> i32 {
    let status = Command::new(binaries::pager()).args(["limit", &pid.to_string(), size]).status();
    status.expect("pager can be started").code().expect("pager ends by itself")
}

/// Waits until `holds`, at most ten seconds.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_lower_cap_holds_at_once_even_for_a_program_that_waits() {
    let guest = guests::build("holds", Link::Dynamic);
    let mut command = Command::new(binaries::pager());
    command.args(["run", "--resident", "100M", "--stats", "none", "--"]).arg(guest);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("pager can be started");
    let mut paged = Paged(child);
    let mut lines = BufReader::new(paged.0.stdout.take().expect("piped")).lines();
    let mut next = move || lines.next().expect("the guest says a line").expect("it can be read");
    let program: u32 = next().parse().expect("the guest says its process id");
    assert!(resident(program) >= HELD);
    assert_eq!(limit(paged.0.id(), "8M"), 0);
    eventually("the cap of 8 MiB does not hold", || resident(program) <= (8 << 20) + STATED_SLACK_BYTES);
    assert_eq!(limit(program, "none"), 0);
    paged.0.stdin.take().expect("piped").write_all(b"\n").expect("the guest waits");
    assert_eq!(next(), "holds 0000000002800000", "the sum of all bytes");
    eventually("the cap is still there", || resident(program) >= HELD);
}

/// Every process keeps to the run's cap by itself, whichever of them is named; native children have none.
#[test]
fn a_limit_named_by_one_process_holds_for_each_of_the_run() {
    let guest = guests::build("holds", Link::Dynamic);
    for (children, shrink) in [("own", true), ("native", false)] {
        let script = format!("exec 3<&0; for n in 1 2; do {} <&3 & done; wait", guest.display());
        let mut command = Command::new(binaries::pager());
        command.args([
            "run",
            "--resident",
            "100M",
            "--stats",
            "none",
            "--children",
            children,
            "--",
            "/bin/sh",
            "-c",
        ]);
        let child = command
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("pager can be started");
        let mut paged = Paged(child);
        let mut lines = BufReader::new(paged.0.stdout.take().expect("piped")).lines();
        let mut next =
            || -> u32 { lines.next().expect("a line").expect("text").parse().expect("a process id") };
        let holders = [next(), next()];
        let named = if shrink { holders[1] } else { paged.0.id() };
        assert_eq!(limit(named, "8M"), 0);
        for holder in holders {
            match shrink {
                true => eventually("the cap holds for one only", || {
                    resident(holder) <= (8 << 20) + STATED_SLACK_BYTES
                }),
                false => assert!(resident(holder) >= HELD),
            }
        }
        assert_eq!(limit(holders[0], "none"), i32::from(!shrink), "a native child is not part of the run");
        drop(paged.0.stdin.take());
    }
}

#[test]
fn what_is_no_run_of_ours_is_said_so() {
    assert_eq!(limit(std::process::id(), "8M"), 1);
    assert_eq!(limit(std::process::id(), "4K"), 2);
}
