//! Rules of a live mount: changing them, and every way in which that is refused.

mod fixture;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use fixture::*;
use swapfs::accounting::ProcessSnapshot;

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
            assert!(waits() >= least_wait(Duration::from_millis(1)));
            let rules = fs::read_to_string(mount.at(".swapfs/throttle")).unwrap();
            assert_eq!(rules.lines().count(), 2, "{rules}");
            assert!(
                throttle(mount, &["--set", "swap/x: bw=1", "--set", "swap/s: latency=200ms"])
                    .status
                    .success()
            );
            assert!(waits() >= least_wait(Duration::from_millis(200)));
            assert!(throttle(mount, &["--clear"]).status.success());
            let held_back = || mount.stats_of("swap/s").figures.write_wait.count;
            let before = held_back();
            waits();
            assert_eq!(held_back(), before, "no rule is for it any more");
            fs::write(mount.at(".swapfs/throttle"), "# by hand\nswap/**: write-latency=150ms\n").unwrap();
            let waited = waits();
            assert!(waited >= least_wait(Duration::from_millis(150)), "{waited:?}");
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
            assert!(
                complaint(&output).contains("line 2, column 12: unknown key `speed`"),
                "{}",
                complaint(&output)
            );
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

#[test]
fn faults_are_made_counted_and_changed_live() {
    with_mount(
        &["--swap", "s:1M", "t:1M", "--fault", "swap/s: eio=1"],
        |_| {},
        |mount| {
            let open = |path| OpenOptions::new().read(true).write(true).open(mount.at(path)).unwrap();
            let (s, t) = (open("swap/s"), open("swap/t"));
            assert_eq!(errno(s.write_all_at(&[1; 512], 0)), 5);
            t.write_all_at(&[1; 512], 0).unwrap();
            let fault = |rule: &str| finish(program().arg("fault").arg(mount.point()).args(["--set", rule]));
            assert!(fault("swap/*: enospc-after=4K, short-read=1").status.success());
            s.write_all_at(&[1; 4096], 0).unwrap();
            assert_eq!(errno(s.write_all_at(&[1; 512], 0)), ENOSPC);
            assert!(s.read_at(&mut [0; 4096], 0).unwrap() < 4096);
            assert!(fault("swap/*: corrupt=1, hang=100ms@p1").status.success());
            let (began, mut buffer) = (Instant::now(), [1; 4096]);
            s.read_exact_at(&mut buffer, 0).unwrap();
            assert!(began.elapsed() >= Duration::from_millis(100) && buffer.iter().all(|byte| *byte != 1));
            let refused = fault("swap/*: eio=2");
            assert!(complaint(&refused).contains("line 1, column 13"), "{}", complaint(&refused));
            let counts = mount.stats().faults;
            assert_eq!((counts.eio, counts.enospc, counts.short_reads), (1, 1, 1));
            assert_eq!((counts.corrupt_bytes, counts.hangs), (4096, 1));
            assert_eq!(fs::read_to_string(mount.at(".swapfs/faults")).unwrap().lines().count(), 1);
        },
    );
}

#[test]
fn rules_can_be_for_some_processes_only() {
    let own_group = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own_group = own_group.lines().find_map(|line| line.splitn(3, ':').nth(2)).unwrap_or("/").to_owned();
    with_mount(
        &["--swap", "s:1M"],
        |_| {},
        move |mount| {
            let file = OpenOptions::new().read(true).write(true).open(mount.at("swap/s")).unwrap();
            // How many requests of ours were held back by a rule, of one each by us and by `dd`.
            let held_back = |rule: &str| {
                assert!(throttle(mount, &["--set", rule]).status.success());
                assert!(finish(program().arg("stat").arg(mount.point()).arg("--reset")).status.success());
                file.read_exact_at(&mut [0; 4096], 0).unwrap();
                let input = format!("if={}", mount.at("swap/s").display());
                let dd = finish(std::process::Command::new("dd").args([
                    "of=/dev/null",
                    "bs=4096",
                    "count=1",
                    &input,
                ]));
                assert!(dd.status.success(), "{}", complaint(&dd));
                let held = |process: &ProcessSnapshot| {
                    (process.pid == std::process::id(), process.figures.read_wait.count)
                };
                mount.stats().processes.iter().map(held).filter(|(_, count)| *count > 0).collect::<Vec<_>>()
            };
            assert_eq!(held_back("swap/* & comm=d?: latency=1ms"), [(false, 1)]);
            assert_eq!(held_back(&format!("pid={}: latency=1ms", std::process::id())), [(true, 1)]);
            assert_eq!(held_back(&format!("** & cgroup={own_group}: latency=1ms")).len(), 2);
            assert_eq!(held_back(&format!("** & cgroup={own_group} & comm=dd: latency=1ms")), [(false, 1)]);
            assert_eq!(held_back("** & cgroup=/no/such: latency=1ms"), []);
            let refused = throttle(mount, &["--set", "** & user=root: latency=1ms"]);
            assert!(complaint(&refused).contains("line 1, column 6"), "{}", complaint(&refused));
            let fault = ["--set", "swap/* & comm=dd: eio=1"];
            assert!(finish(program().arg("fault").arg(mount.point()).args(fault)).status.success());
            file.read_exact_at(&mut [0; 4096], 0).unwrap();
            let input = format!("if={}", mount.at("swap/s").display());
            assert!(
                !finish(std::process::Command::new("dd").args(["of=/dev/null", &input])).status.success()
            );
        },
    );
}
