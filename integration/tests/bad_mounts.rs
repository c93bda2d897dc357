//! Mounts that `swapfs` must refuse, and mounts that lose their source or their daemon.
//!
//! Assumes: root or fusermount3.

use std::fs;
use std::path::Path;
use std::time::Duration;

use integration::guests::{self, Link};
use integration::mount::{self, Mount, MountPlan};
use integration::paged::Paging;
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::{binaries, processes, traces};

const USAGE: i32 = 2;
const FAILED: i32 = 1;

fn swapfs(arguments: &[&str]) -> Outcome {
    Run::new(binaries::swapfs()).args(arguments).limit(Duration::from_secs(20)).outcome()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("scratch paths are plain text")
}

fn mounted(plan: &MountPlan) -> Mount {
    plan.mount().unwrap_or_else(|reason| panic!("{reason}"))
}

/// `arguments` and a good mount point are refused.
fn refuses(arguments: &[&str], code: i32, culprit: &str) {
    let scratch = Scratch::new("refused");
    let point = scratch.folder("mnt");
    let outcome = swapfs(&[&["mount"], arguments, &[text(&point)]].concat());
    mount::detach(&point);
    traces::refused(&outcome, code, culprit);
    traces::none_of(scratch.path());
}

#[test]
fn no_command() {
    traces::refused(&swapfs(&[]), USAGE, "Usage");
}

#[test]
fn a_source_that_is_not_there() {
    refuses(&["--images", "/nowhere/source"], FAILED, "/nowhere/source");
}

#[test]
fn swap_files_that_are_none() {
    for (swap, culprit) in
        [("swap0", "swap0"), ("swap0:", "swap0"), ("swap0:x", "swap0"), (":1M", ":1M"), ("a/b:1M", "a/b")]
    {
        refuses(&["--swap", swap], USAGE, culprit);
    }
}

#[test]
fn two_swap_files_of_one_name() {
    refuses(&["--swap", "same:1M", "--swap", "same:2M"], USAGE, "same");
}

#[test]
fn limits_that_are_none() {
    refuses(&["--images", "/etc/hostname", "--read-bw", "fast"], USAGE, "--read-bw");
    refuses(&["--images", "/etc/hostname", "--read-latency", "2 parsecs"], USAGE, "--read-latency");
}

#[test]
fn a_mount_point_that_is_not_there() {
    traces::refused(&swapfs(&["mount", "--swap", "s:1M", "/nowhere/mnt"]), FAILED, "/nowhere/mnt");
}

#[test]
fn a_mount_point_that_is_a_file() {
    let scratch = Scratch::new("file");
    let point = scratch.file("mnt", "");
    traces::refused(&swapfs(&["mount", "--swap", "s:1M", text(&point)]), FAILED, text(&point));
    traces::none_of(scratch.path());
}

#[test]
fn a_mount_point_in_use() {
    let mount = mounted(&MountPlan::new().swap("s:1M"));
    let outcome = swapfs(&["mount", "--swap", "t:1M", text(mount.point())]);
    traces::refused(&outcome, FAILED, text(mount.point()));
    assert!(mount.swap("s").exists(), "the first mount goes on");
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn unmounting_what_is_not_mounted() {
    let scratch = Scratch::new("unmounted");
    traces::refused(&swapfs(&["unmount", text(scratch.path())]), FAILED, text(scratch.path()));
    traces::refused(&swapfs(&["stat", text(scratch.path())]), FAILED, text(scratch.path()));
}

#[test]
fn a_daemon_asked_to_end_leaves_no_mount() {
    for signal in ["-INT", "-TERM"] {
        let mount = mounted(&MountPlan::new().swap("s:1M"));
        let daemon = mount.daemon();
        assert_eq!(Run::new("/bin/kill").args([signal, &daemon.to_string()]).outcome().end, End::Code(0));
        assert!(
            processes::wait_until(Duration::from_secs(5), || !processes::is_alive(daemon)),
            "{signal}: it runs on"
        );
        assert!(!mount::is_mounted(mount.point()), "{signal}: the mount stays");
    }
}

#[test]
fn unmounting_with_a_file_open() {
    let mount = mounted(&MountPlan::new().swap("s:1M"));
    let point = mount.point().to_owned();
    let held = fs::File::open(mount.swap("s")).expect("the owner may open the swap file");
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
    assert!(!mount::is_mounted(&point));
    drop(held);
}

#[test]
fn a_source_that_vanishes_is_an_error_to_its_reader_only() {
    let scratch = Scratch::new("vanishes");
    let folder = scratch.folder("images");
    fs::write(folder.join("one"), vec![1; 100_000]).expect("a source can be written");
    fs::write(folder.join("two"), vec![2; 100_000]).expect("a source can be written");
    let mount = mounted(&MountPlan::new().image(format!("{}/", folder.display())));
    fs::remove_file(folder.join("one")).expect("a source can be removed");
    let one = fs::read(mount.image("one"));
    assert!(
        one.is_err() || one.is_ok_and(|bytes| bytes == vec![1; 100_000]),
        "neither an error nor the contents"
    );
    assert_eq!(fs::read(mount.image("two")).expect("the other file is still there"), vec![2; 100_000]);
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

/// A program that needs more than its cap, and whose swap files are `swap0` and `swap1` of a mount that
/// treats them as `faults` says.
fn with_faulty_swap(faults: &[&str], swap: &[&str]) -> (Outcome, Mount) {
    let plan = MountPlan::new().swap("swap0:256M").swap("swap1:256M").option("--swap-store", "memory");
    let mount = mounted(&faults.iter().fold(plan, |plan, fault| plan.option("--fault", fault)));
    let paging =
        swap.iter().fold(Paging::new().resident("1M"), |paging, name| paging.swap(&mount.swap(name)));
    let program = guests::build("random_access", Link::Dynamic);
    let run = paging.run(program, |run| run.arg("16").limit(Duration::from_secs(60)));
    (run.outcome, mount)
}

/// Not at the first error, and not never: a program that could write nothing went on for ever, slower and
/// slower.
#[test]
fn a_swap_file_that_cannot_be_written_ends_its_program() {
    for (fault, word) in
        [("swap/swap0: eio=1", "I/O error"), ("swap/swap0: enospc-after=256K", "No space left")]
    {
        let (outcome, mount) = with_faulty_swap(&[fault], &["swap0"]);
        let complaint = outcome.complaint();
        assert_eq!(outcome.end, End::Signal(9), "{fault}: {complaint}");
        assert!(complaint.contains("swap/swap0") && complaint.contains(word), "{fault}: {complaint}");
        mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
    }
}

#[test]
fn a_swap_file_that_cannot_be_written_is_left_for_the_next() {
    let (outcome, mount) = with_faulty_swap(&["swap/swap0: enospc-after=256K"], &["swap0", "swap1"]);
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

/// The daemon is killed while a program pages from it: the program ends within seconds, by SIGBUS or an error
/// of ours.
#[test]
fn a_daemon_that_dies_ends_its_program() {
    let program = guests::build("random_access", Link::Dynamic);
    let mount =
        mounted(&MountPlan::new().image(&program).swap("swap0:256M").option("--swap-store", "memory"));
    let daemon = mount.daemon().to_string();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        Run::new("/bin/kill").args(["-KILL", &daemon]).outcome()
    });
    let paging = Paging::new().resident("1M").swap(&mount.swap("swap0"));
    let run = paging.run(mount.image("random_access"), |run| run.arg("128").limit(Duration::from_secs(30)));
    killer.join().expect("the killer does not panic");
    assert!(
        !matches!(run.outcome.end, End::Code(0 | 99) | End::Overdue),
        "{:?}: {}",
        run.outcome.end,
        run.outcome.complaint()
    );
    let place = mount.scratch().path().to_owned();
    drop(mount);
    traces::none_of(&place);
}

/// A folder of PATH that may not be looked into hides that the helper is in none of the others.
#[test]
fn who_lacks_the_helper_is_told_which_package_has_it() {
    // In a file system of its own, since the user may not go where the tests are.
    const SCRIPT: &str = "mount -t tmpfs -o mode=755 none /mnt && cp $0 /mnt/swapfs && cd /mnt && \
        mknod -m 666 fuse c 10 229 && mount --bind fuse /dev/fuse && mkdir -m 700 locked && mkdir -m 777 m && \
        exec env PATH=$PWD/locked:$PWD /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups \
        ./swapfs mount --images /etc m";
    let scratch = Scratch::new("helper");
    let run = Run::new("unshare").args(["-m", "sh", "-c", SCRIPT]).arg(binaries::swapfs());
    traces::refused(
        &run.folder(scratch.path()).limit(Duration::from_secs(20)).outcome(),
        FAILED,
        "apt-get install fuse3",
    );
}
