//! What is left when the daemon is killed: nothing that fsync acknowledged is lost, nobody hangs, and the
//! next mount explains and goes on.

mod fixture;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fixture::*;
use rustix::process::{Pid, Signal, kill_process};

const PAGE: usize = 4096;
const WRITERS: usize = 3;
/// Pages that each writer goes through, round and round.
const PAGES: usize = 16;
const ARGUMENTS: [&str; 4] = ["--swap", "s:1M", "--swap-store", "@/source"];

/// No client may hang for longer, once the daemon is gone. (By default leaves room for a machine that is busy
/// with other tests.)
fn longest_hang() -> Duration {
    Duration::from_secs(if is_full() { 1 } else { 5 })
}

/// What a writer did until its file failed.
struct Log {
    /// For each page, the last number that was written there and acknowledged by fsync.
    acknowledged: [u64; PAGES],
    /// The last number that was begun.
    begun: u64,
    failed_at: Instant,
}

/// Fills page after page with growing numbers from `first` on, each followed by fsync, until an error.
fn write_until_it_fails(
    file: &File,
    writer: usize,
    first: u64,
    mut acknowledged: [u64; PAGES],
    done: &AtomicU64,
) -> Log {
    let mut begun = first;
    loop {
        let page = (begun as usize) % PAGES;
        let data = begun.to_le_bytes().repeat(PAGE / 8);
        let offset = ((writer * PAGES + page) * PAGE) as u64;
        if file.write_all_at(&data, offset).and_then(|()| file.sync_data()).is_err() {
            return Log { acknowledged, begun, failed_at: Instant::now() };
        }
        acknowledged[page] = begun;
        begun += 1;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each page holds one number, whole: the one acknowledged, or a later one that was begun.
fn check(file: &File, writer: usize, log: &Log) {
    for (page, acknowledged) in log.acknowledged.iter().enumerate() {
        let mut data = [0; PAGE];
        file.read_exact_at(&mut data, ((writer * PAGES + page) * PAGE) as u64).unwrap();
        let number = u64::from_le_bytes(data[..8].try_into().unwrap());
        assert!(data == *number.to_le_bytes().repeat(PAGE / 8), "writer {writer}, page {page}: torn");
        let after = number > *acknowledged && number <= log.begun;
        assert!(
            number == *acknowledged || after,
            "writer {writer}, page {page}: {acknowledged} was lost, found {number}"
        );
    }
}

fn swap_file(mount: &Mount) -> File {
    OpenOptions::new().read(true).write(true).open(mount.at("swap/s")).unwrap()
}

/// Maps the swap file and writes to it for ever; a killed daemon ends it by SIGBUS.
fn start_mapper(path: PathBuf) -> Child {
    let script = "
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 1 << 18, offset=3 << 18)
n = 0
while True:
    for at in range(0, 1 << 18, 4096): m[at] = n & 255
    m.flush()
    n += 1
";
    std::process::Command::new("python3")
        .arg("-c")
        .arg(script)
        .arg(path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

fn kill_daemon(mount: &Mount) -> Instant {
    let pid = Pid::from_raw(mount.stats().pid as i32).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    Instant::now()
}

fn end_of(child: &mut Child) -> Instant {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("a process that maps a swap file hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Instant::now()
}

/// One life and death of a daemon under writes. Returns what was acknowledged, and the longest time that a
/// client hung.
fn round(mount: &Mount, number: u64, acknowledged: &[[u64; PAGES]; WRITERS]) -> (Vec<Log>, Duration) {
    let done: [Arc<AtomicU64>; WRITERS] = Default::default();
    let begin = |writer: usize| -> JoinHandle<Log> {
        let (file, before, done) = (swap_file(mount), acknowledged[writer], done[writer].clone());
        std::thread::spawn(move || write_until_it_fails(&file, writer, number << 32, before, &done))
    };
    let writers: Vec<_> = (0..WRITERS).map(begin).collect();
    let mut mapper = start_mapper(mount.at("swap/s"));
    // Another moment of the writers' work each time.
    let enough = 1 + (number * 7) % 23;
    wait_until(|| done.iter().all(|done| done.load(Ordering::Relaxed) >= enough));
    std::thread::sleep(Duration::from_micros((number * 379) % 997));
    let killed = kill_daemon(mount);
    let logs: Vec<Log> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    // The mapper may not have touched its first page yet; it does so within this.
    let mapped = end_of(&mut mapper).saturating_duration_since(killed);
    let hung = logs.iter().map(|log| log.failed_at.saturating_duration_since(killed)).max().unwrap();
    (logs, hung.max(mapped))
}

#[test]
fn a_killed_daemon_loses_nothing_that_was_acknowledged_and_hangs_nobody() {
    let rounds = if is_full() { 100 } else { 5 };
    with_mount(
        &ARGUMENTS,
        |_| {},
        move |mount| {
            let mut acknowledged = [[0; PAGES]; WRITERS];
            let mut longest = Duration::ZERO;
            for number in 1..=rounds {
                let (logs, hung) = round(mount, number, &acknowledged);
                longest = longest.max(hung);
                let stat = finish(program().arg("stat").arg(mount.point()));
                assert!(complaint(&stat).contains("was killed or crashed"), "{}", complaint(&stat));
                // Every other daemon goes past the page cache.
                let direct = if number % 2 == 0 { &["--swap-direct"][..] } else { &[] };
                let again = mount.try_start(&[&ARGUMENTS, direct].concat());
                let said = complaint(&again);
                assert!(again.status.success(), "{said}");
                assert!(
                    said.lines().count() == 1
                        && said.contains("dead swapfs")
                        && said.contains("as last written"),
                    "{said}"
                );
                let file = swap_file(mount);
                for (writer, log) in logs.iter().enumerate() {
                    check(&file, writer, log);
                    acknowledged[writer] = found(&file, writer);
                }
            }
            println!("{rounds} kills: no client hung for more than {longest:?}");
            assert!(longest <= longest_hang(), "a client hung for {longest:?}");
        },
    );
}

/// The numbers that the pages hold now: what is there after a remount is not lost by the next kill either.
fn found(file: &File, writer: usize) -> [u64; PAGES] {
    std::array::from_fn(|page| {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, ((writer * PAGES + page) * PAGE) as u64).unwrap();
        u64::from_le_bytes(word)
    })
}

#[test]
fn a_dead_mount_is_explained_and_cleared() {
    with_mount(
        &["--swap", "s:1M"],
        |_| {},
        |mount| {
            kill_daemon(mount);
            wait_until(|| fs::metadata(mount.at("swap")).is_err());
            let stat = finish(program().arg("stat").arg(mount.point()));
            assert_eq!(stat.status.code(), Some(1));
            assert!(complaint(&stat).contains("swapfs unmount"), "{}", complaint(&stat));
            assert!(mount.unmount().status.success() && !mount.is_mounted());
            mount.start(&["--swap", "s:1M"]);
            kill_daemon(mount);
            // Even where somebody still has a file or directory of it.
            let again = mount.try_start(&["--swap", "s:1M"]);
            assert!(
                again.status.success() && complaint(&again).contains("are lost"),
                "{}",
                complaint(&again)
            );
        },
    );
}

/// Nothing of them is left, not even room that they took.
#[test]
fn encrypted_swap_files_are_gone_with_a_killed_daemon() {
    let arguments = ["--swap", "s:1M", "--swap-store", "@/source", "--swap-encrypt"];
    with_mount(
        &arguments,
        |_| {},
        move |mount| {
            let file = swap_file(mount);
            file.write_all_at(&[7; 1 << 16], 0).unwrap();
            file.sync_all().unwrap();
            kill_daemon(mount);
            assert_eq!(fs::read_dir(mount.source()).unwrap().count(), 0);
            let again = mount.try_start(&arguments);
            assert!(
                again.status.success() && complaint(&again).contains("are lost"),
                "{}",
                complaint(&again)
            );
            let mut data = [1; 1 << 16];
            swap_file(mount).read_exact_at(&mut data, 0).unwrap();
            assert_eq!(data, [0; 1 << 16]);
        },
    );
}

/// A daemon that is stopped is neither dead nor waited for.
#[test]
fn a_stopped_daemon_keeps_its_place() {
    with_mount(
        &["--swap", "s:1M"],
        |_| {},
        |mount| {
            let pid = Pid::from_raw(mount.stats().pid as i32).unwrap();
            kill_process(pid, Signal::STOP).unwrap();
            let again = mount.try_start(&["--swap", "s:1M"]);
            kill_process(pid, Signal::CONT).unwrap();
            assert!(complaint(&again).contains("already mounted"), "{}", complaint(&again));
            assert!(mount.at("swap/s").exists());
        },
    );
}

/// A daemon that runs under another name is told to end too.
#[test]
fn a_busy_mount_of_a_daemon_of_any_name_ends_at_once() {
    if !can_mount() {
        return;
    }
    let scratch = Mount::scratch();
    let other_name = scratch.scratch_path().join("other-name");
    // Not by ourselves: a child that another test starts meanwhile would hold the copy open for writing, and
    // nobody may run it then.
    assert!(
        finish(std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_swapfs")).arg(&other_name))
            .status
            .success()
    );
    let mut command = std::process::Command::new(&other_name);
    let started = finish(command.args(["mount", "--daemon", "--swap", "s:1M"]).arg(scratch.point()));
    assert!(started.status.success(), "{}", complaint(&started));
    let pid = Pid::from_raw(scratch.stats().pid as i32).unwrap();
    let held = File::open(scratch.at("swap/s")).unwrap();
    let output = scratch.unmount();
    assert!(output.status.success() && !complaint(&output).contains("still there"), "{}", complaint(&output));
    wait_until(|| {
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).is_ok_and(|s| s.contains(") Z "))
            || !fs::exists(format!("/proc/{}", pid.as_raw_nonzero())).unwrap()
    });
    drop(held);
}
