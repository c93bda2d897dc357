//! Many requests that wait: what they may not cost, and how they end.
//!
//! The kernel is asked to read pages ahead one by one (`POSIX_FADV_WILLNEED`), so that thousands of requests
//! wait without a thread of ours for each.

mod fixture;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fixture::*;
use rustix::fs::{Advice, fadvise};

const WAITING: u64 = 10_000;
const PAGE: u64 = 4096;
const MINUTE: [&str; 2] = ["--throttle", "images/source/slow: read-latency=60s"];
/// Eight that serve and one that waits for them; one each for late answers, signals and wakes.
const MOST_THREADS: usize = 12;

/// A large file of holes to wait for, and a small one that nothing is to hold up.
fn slow_and_fast(mount: &Mount) {
    File::create(mount.source().join("slow")).unwrap().set_len(4 * WAITING * PAGE).unwrap();
    fs::write(mount.source().join("fast"), vec![7; 64 * PAGE as usize]).unwrap();
}

/// Has `count` requests for pages of `file` under way, and waits until all have come to the daemon.
fn ask_for_pages(mount: &Mount, file: &File, count: u64) {
    let before = mount.stats().waiting_requests;
    for page in 0..count {
        let length = std::num::NonZeroU64::new(PAGE);
        fadvise(file, page * 2 * PAGE, length, Advice::WillNeed).unwrap();
    }
    wait_until(|| mount.stats().waiting_requests == before + count);
}

fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

#[test]
fn ten_thousand_waiting_requests_hold_up_neither_another_file_nor_a_thread_each() {
    let arguments = [&["--images", "@/source"], &MINUTE[..]].concat();
    with_mount(&arguments, slow_and_fast, |mount| {
        let (began, slow) = (Instant::now(), File::open(mount.at("images/source/slow")).unwrap());
        ask_for_pages(mount, &slow, WAITING);
        assert!(threads(mount.stats().pid) <= MOST_THREADS, "{} threads", threads(mount.stats().pid));
        for round in 0..4 {
            // Anew each time, by readahead as well as by the page.
            let fast = File::open(mount.at("images/source/fast")).unwrap();
            fadvise(&fast, 0, None, Advice::DontNeed).unwrap();
            let mut page = [0; PAGE as usize];
            for number in 0..64 {
                let number = if round % 2 == 0 { number } else { number * 37 % 64 };
                fast.read_exact_at(&mut page, number * PAGE).unwrap();
                assert_eq!(page, [7; PAGE as usize]);
            }
        }
        assert!(mount.stats_of("images/source/fast").figures.read_bytes >= 4 * 64 * PAGE);
        // Had it waited for the others, a minute would be over.
        if began.elapsed() < Duration::from_secs(60) {
            assert_eq!(mount.stats().waiting_requests, WAITING);
        }
        clear(mount);
        wait_until(|| mount.stats_of("images/source/slow").figures.read_ops == WAITING);
        assert_eq!(mount.stats().waiting_requests, 0);
    });
}

#[test]
fn who_waits_is_planned_anew_when_the_rules_change() {
    let arguments = ["--images", "@/source", "--strict", "--throttle", "**: bw=1K, latency=3600s"];
    with_mount(&arguments, slow_and_fast, |mount| {
        let fault = |arguments: &[&str]| finish(program().arg("fault").arg(mount.point()).args(arguments));
        assert!(fault(&["--set", "**: hang=7200s@p1"]).status.success());
        let readers: Vec<_> = ["slow", "slow", "fast"].map(|name| read_a_page(mount, name)).into();
        wait_until(|| mount.stats().waiting_requests == 3);
        let set = ["--set", "images/source/fast: latency=7200s", "--set", "images/source/slow: bw=100M"];
        assert!(finish(program().arg("throttle").arg(mount.point()).args(set)).status.success());
        assert_eq!(mount.stats().waiting_requests, 3, "they hang, besides");
        assert!(fault(&["--clear"]).status.success());
        wait_until(|| mount.stats().waiting_requests == 1);
        clear(mount);
        for mut reader in readers {
            assert!(finish_child(&mut reader).success());
        }
    });
}

#[test]
fn an_open_does_not_wait_for_a_fault_of_another_that_waits() {
    let arguments = [&["--images", "@/source", "--strict"], &MINUTE[..]].concat();
    with_mount(&arguments, slow_and_fast, |mount| {
        let fault =
            "import mmap, os, sys; mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, prot=mmap.PROT_READ)[9]";
        let slow = mount.at("images/source/slow");
        let mut faulting = Command::new("python3").args(["-c", fault]).arg(&slow).spawn().unwrap();
        wait_until(|| mount.stats().waiting_requests == 1);
        let began = Instant::now();
        drop(File::open(&slow).unwrap());
        assert!(began.elapsed() < Duration::from_secs(50), "it waited all the minute");
        clear(mount);
        assert!(finish_child(&mut faulting).success());
    });
}

#[test]
fn readers_that_wait_end_with_the_mount() {
    let arguments = [&["--images", "@/source", "--strict"], &MINUTE[..]].concat();
    with_mount(&arguments, slow_and_fast, |mount| {
        let mut reader = read_a_page(mount, "slow");
        wait_until(|| mount.stats().waiting_requests == 1);
        let began = Instant::now();
        assert!(mount.unmount().status.success());
        assert!(!finish_child(&mut reader).success());
        assert!(began.elapsed() < Duration::from_secs(50), "it waited all the minute");
        mount.start(&["--images", "@/source"]);
    });
}

fn read_a_page(mount: &Mount, name: &str) -> Child {
    Command::new("dd")
        .args(["bs=4096", "count=1", "status=none"])
        .arg(format!("if={}", mount.at("images/source").join(name).display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn clear(mount: &Mount) {
    assert!(finish(program().arg("throttle").arg(mount.point()).arg("--clear")).status.success());
}

fn finish_child(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the reader hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
}
