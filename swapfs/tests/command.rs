//! The command: mounting and unmounting, and every way in which they are refused.

mod fixture;

use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use fixture::*;

fn refused(output: &Output, code: i32, words: &[&str]) {
    let complaint = complaint(output);
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    for word in words {
        assert!(complaint.contains(word), "`{word}` is not in: {complaint}");
    }
    if code == 1 {
        assert_eq!(complaint.trim_end().lines().count(), 1, "one line: {complaint}");
    }
}

fn mount(arguments: &[&str]) -> Output {
    finish(program().arg("mount").args(arguments))
}

#[test]
fn usage_errors_are_2() {
    let point = tempfile::tempdir().unwrap();
    let point = point.path().to_str().unwrap();
    refused(&mount(&[point]), 2, &["nothing to mount"]);
    refused(&mount(&["--swap", "s:1M"]), 2, &["mount point is missing"]);
    refused(&mount(&["--swap", "s", point]), 2, &["NAME:SIZE"]);
    refused(&mount(&["--swap", "a/b:1M", point]), 2, &["not a file name"]);
    refused(&mount(&["--swap", "s:0", point]), 2, &["size"]);
    refused(&mount(&["--swap", "s:1M", "s:2M", point]), 2, &["two swap files"]);
    refused(&mount(&["--swap", "s:1M", "--read-bw", "fast", point]), 2, &["fast"]);
    refused(&mount(&["--swap", "s:1M", "--threads", "0", point]), 2, &["auto", "64"]);
    refused(&mount(&["--swap", "s:1M", "--threads", "65", point]), 2, &["auto", "64"]);
    refused(&mount(&["--swap", "s:1M", "--wake", "slow", point]), 2, &["auto", "fast", "plain"]);
    refused(&mount(&["--swap", "s:1M", "--swap-direct", point]), 2, &["--swap-store DIR"]);
    refused(
        &mount(&["--swap", "s:1M", "--swap-store", "compressed", "--swap-encrypt", point]),
        2,
        &["in a directory"],
    );
    refused(&mount(&["--swap", "s:1M", "--swap-limit", "1M", point]), 2, &["compressed"]);
    refused(&finish(&mut program()), 2, &["Usage"]);
}

#[test]
fn places_and_sources_that_do_not_do_are_1() {
    let scratch = Mount::scratch();
    let (point, file) = (scratch.point(), scratch.source().join("file"));
    fs::write(&file, "").unwrap();
    let (point, file) = (point.to_str().unwrap(), file.to_str().unwrap());
    refused(&mount(&["--swap", "s:1M", "/no/such/place"]), 1, &["/no/such/place", "mkdir"]);
    refused(&mount(&["--swap", "s:1M", file]), 1, &[file, "not a directory"]);
    refused(&mount(&["--images", "/no/such/source", point]), 1, &["/no/such/source"]);
    refused(&mount(&["--images", "/dev/null", point]), 1, &["/dev/null"]);
    refused(&mount(&["--images", "/bin/ls", "/usr/bin/ls", point]), 1, &["ls"]);
    refused(&mount(&["--daemon", "--images", "/no/such/source", point]), 1, &["/no/such/source"]);
    refused(&mount(&["--swap", "s:1M", "--swap-store", "/no/such", point]), 1, &["/no/such/s"]);
    refused(&finish(program().args(["unmount", point])), 1, &["nothing is mounted"]);
    refused(&finish(program().args(["unmount", "/proc"])), 1, &["proc mount, not swapfs"]);
    refused(&finish(program().args(["stat", point])), 1, &["no swapfs is mounted"]);
    assert!(!scratch.is_mounted());
}

#[test]
fn a_taken_place_is_refused() {
    with_mount(
        &["--swap", "s:1M"],
        |_| {},
        |taken| {
            let output = taken.try_start(&["--swap", "t:1M"]);
            refused(&output, 1, &["already mounted", "swapfs unmount"]);
            assert!(taken.at("swap/s").exists());
        },
    );
}

#[test]
fn a_store_inside_the_mount_is_refused() {
    let scratch = Mount::scratch();
    let output = scratch.try_start(&["--swap", "s:1M", "--swap-store", "@/mnt"]);
    refused(&output, 1, &["below the mount point"]);
}

#[test]
fn a_busy_mount_is_detached_and_its_daemon_ends() {
    with_mount(
        &["--images", "/bin/ls", "--swap", "s:1M"],
        |_| {},
        |mount| {
            let pid = mount.stats().pid;
            let mut open = File::open(mount.at("images/ls")).unwrap();
            let output = mount.unmount();
            assert!(output.status.success() && !mount.is_mounted());
            assert!(complaint(&output).contains("was in use"));
            assert!(!serves(pid), "the daemon is gone");
            // What the page cache does not hold fails; nothing hangs.
            let _ = open.read(&mut [0; 16]);
            mount.start(&["--swap", "s:1M"]);
        },
    );
}

#[test]
fn in_the_foreground_a_signal_unmounts() {
    if !can_mount() {
        return;
    }
    for hold_open in [false, true] {
        let scratch = Mount::scratch();
        let mut command = program();
        command.args(["mount", "--swap", "s:1M"]).arg(scratch.point()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait_until(|| scratch.at("swap/s").exists());
        let open = hold_open.then(|| File::open(scratch.at("swap/s")).unwrap());
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = wait_for(&mut child);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("serving"), "{said}");
        assert!(!scratch.is_mounted());
        drop(open);
    }
}

#[test]
fn the_mount_point_may_come_first_or_last() {
    if !can_mount() {
        return;
    }
    let scratch = Mount::scratch();
    let first =
        finish(program().arg("mount").arg(scratch.point()).args(["--daemon", "--swap", "a:1M", "b:1M"]));
    assert!(first.status.success(), "{}", complaint(&first));
    assert_eq!(fs::read_dir(scratch.at("swap")).unwrap().count(), 2);
}

fn serves(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

fn wait_for(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status.code(),
            None if Instant::now() > deadline => {
                let _ = child.kill();
                panic!("the foreground mount does not end");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
