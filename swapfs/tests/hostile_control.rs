//! Whoever may write to `.swapfs` may write anything: what is not understood is refused in words and changes
//! nothing, the daemon lives on, and its memory stays bounded.

mod fixture;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fixture::*;

const RULES: &str = "swap/*: bw=1G\n";
const WRITABLE: [&str; 3] = [".swapfs/command", ".swapfs/throttle", ".swapfs/faults"];
const READ_ONLY: [&str; 3] = [".swapfs/stats.json", ".swapfs/metrics", ".swapfs/trace"];
/// What a daemon may take more after an attack: several requests of the largest size at once, and what malloc
/// keeps.
const MOST_GROWTH_KIB: u64 = 64 << 10;

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// One write, and the answer to it.
fn tell(path: &Path, data: &[u8]) -> (io::Result<usize>, String) {
    let file = open(path);
    let done = file.write_at(data, 0);
    let mut answer = vec![0; 256 << 10];
    let bytes = file.read_at(&mut answer, 0).unwrap();
    (done, String::from_utf8_lossy(&answer[..bytes]).into_owned())
}

/// Everything that control files can change.
fn state(mount: &Mount) -> (String, String, String, u64) {
    let text = |name: &str| fs::read_to_string(mount.at(name)).unwrap();
    let (done, swaps) = tell(&mount.at(".swapfs/command"), b"swap list");
    assert!(done.is_ok(), "{swaps}");
    (text(".swapfs/throttle"), text(".swapfs/faults"), swaps, mount.stats().counted_since_unix_ns)
}

fn resident_kib(mount: &Mount) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", mount.stats().pid)).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn with_rules(test: impl FnOnce(&Mount) + Send + 'static) {
    let nothing = |_: &Mount| {};
    with_mount(
        &["--swap", "s:1M", "--throttle", RULES.trim(), "--fault", "swap/none: eio=1"],
        nothing,
        |mount| {
            let (before, resident) = (state(mount), resident_kib(mount));
            test(mount);
            assert_eq!(state(mount), before, "something was changed");
            let grown = resident_kib(mount).saturating_sub(resident);
            assert!(grown < MOST_GROWTH_KIB, "the daemon took {grown} KiB more");
            fs::write(mount.at("swap/s"), "x").unwrap_err();
            open(&mount.at("swap/s")).write_all_at(b"served", 0).unwrap();
        },
    );
}

/// Bytes that no control file understands.
fn garbage() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "\0",
        "\0\0\0reset",
        "reset\0",
        "reset\nreset",
        "swap/*: bw=1M\0",
        "swap/*: bw=1M\nswap/*",
        "swap/*: bw=-1",
        "swap/*: bw=99999999999999999999999T",
        "swap/*: latency=lognormal(",
        "swap/*: latency=uniform(1s,NaN)",
        "swap/*: eio=1e999",
        "swap/*: eio=nan",
        "swap/*: hang=1s@p",
        ": bw=1M",
        "swap add ../x 1M",
        "swap add a/b 1M",
        "swap add . 1M",
        "swap add s 1M",
        "swap add x 999999999999999999999T",
        "swap add x -1",
        "swap add \u{202e}\n 1M",
        "swap resize s 0",
        "swap resize none 1M",
        "swap remove ../../etc/passwd",
        "heat 0 swap/s",
        "heat 18446744073709551616 swap/s",
        "heat 10 ../../etc/passwd",
        "{\"command\": \"reset\"}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    all.push((0..=255).collect());
    all.push(vec![0xff; 4096]);
    all.push(b"swap/*: bw=1M, ".repeat(5000));
    all.push(b"swap add ".repeat(9000));
    for byte in [0, b'a', b'(', b'*', 0xc3] {
        all.push(vec![byte; 1 << 20]);
    }
    all
}

/// Whether `data` means something to `name`: what is for one of the files is garbage for the others.
fn refused(mount: &Mount, name: &str, data: &[u8]) {
    let (done, answer) = tell(&mount.at(name), data);
    let shown = data.escape_ascii().to_string();
    let shown = &shown[..shown.len().min(100)];
    let code = errno(done);
    assert!(
        [EINVAL, ENOENT, EEXIST, EPERM, ENOSPC, EOPNOTSUPP, E2BIG].contains(&code),
        "{name}: `{shown}`: {code}"
    );
    assert!(
        (10..32 << 10).contains(&answer.len()) && answer.ends_with('\n'),
        "{name}: `{shown}`: `{answer}`"
    );
    assert!(
        answer.chars().all(|c| c == '\n' || !c.is_control()),
        "{name}: `{shown}` is answered with bare `{answer:?}`"
    );
}

#[test]
fn garbage_is_refused_in_words_and_changes_nothing() {
    with_rules(|mount| {
        for name in WRITABLE {
            garbage().iter().for_each(|data| refused(mount, name, data));
        }
    });
}

/// A text that is cut off anywhere is refused, or is rules itself; then it is exactly those that are in
/// force.
#[test]
fn rules_that_are_cut_off_are_refused_or_whole() {
    with_rules(|mount| {
        let path = mount.at(".swapfs/throttle");
        let text = "swap/*: read-bw=20M, iops=300, latency=lognormal(2ms,0.5)\nimages/**: profile=nvme\n";
        for len in 1..text.len() {
            let before = fs::read_to_string(&path).unwrap();
            let (done, answer) = tell(&path, &text.as_bytes()[..len]);
            let now = fs::read_to_string(&path).unwrap();
            match done {
                Ok(bytes) => assert!(bytes == len && now == answer, "{answer}"),
                Err(_) => assert_eq!(now, before, "`{}` was refused", &text[..len]),
            }
        }
        assert!(tell(&path, RULES.as_bytes()).0.is_ok());
    });
}

fn are_of_one_writer(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| *line == lines[0]), "{text}");
    assert!([1, 50].contains(&lines.len()), "{text}");
}

/// Many writers at once: at every time one writer's rules are in force, all of them.
#[test]
fn many_writers_at_once_never_mix_their_rules() {
    with_rules(|mount| {
        let rounds = if is_full() { 2000 } else { 60 };
        let (path, wrong) = (&mount.at(".swapfs/throttle"), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for writer in 1..9 {
                let wrong = &wrong;
                scope.spawn(move || {
                    let own = format!("swap/{writer}: bw={writer}M\n").repeat(50);
                    for round in 0..rounds {
                        match (writer + round) % 3 {
                            0 => assert!(tell(path, own.as_bytes()).0.is_ok()),
                            1 => {
                                let cut = tell(path, &own.as_bytes()[..own.len() - 3]);
                                wrong.fetch_add(u64::from(cut.0.is_err()), Ordering::Relaxed);
                            }
                            _ => are_of_one_writer(&fs::read_to_string(path).unwrap()),
                        }
                    }
                });
            }
        });
        assert!(wrong.into_inner() > 0);
        assert!(tell(path, RULES.as_bytes()).0.is_ok());
    });
}

#[test]
fn answers_that_nobody_reads_take_bounded_memory() {
    with_rules(|mount| {
        for name in WRITABLE {
            let held: Vec<File> = (0..300).map(|_| open(&mount.at(name))).collect();
            for file in &held {
                errno(file.write_at(&[b'('; 64 << 10], 0));
                errno(file.write_at(&vec![b'a'; 1 << 20], 1 << 40));
            }
            assert!(resident_kib(mount) < 10 * MOST_GROWTH_KIB);
        }
    });
}

#[test]
fn readers_of_traces_that_do_not_read_are_few() {
    with_rules(|mount| {
        let mut held = Vec::new();
        let refused = loop {
            match File::open(mount.at(".swapfs/trace")) {
                Ok(file) => held.push(file),
                Err(error) => break error,
            }
            assert!(held.len() < 100);
        };
        assert_eq!(refused.raw_os_error(), Some(EBUSY));
        drop(held);
        wait_until(|| File::open(mount.at(".swapfs/trace")).is_ok());
    });
}

#[test]
fn what_is_only_read_can_be_neither_written_nor_removed_nor_asked_for_more() {
    with_rules(|mount| {
        for name in READ_ONLY {
            assert_eq!(errno(OpenOptions::new().write(true).open(mount.at(name))), EROFS, "{name}");
            assert_eq!(errno(File::create(mount.at(name))), EROFS, "{name}");
        }
        for name in WRITABLE.iter().chain(&READ_ONLY) {
            let path = mount.at(name);
            assert_eq!(errno(fs::remove_file(&path)), EROFS, "{name}");
            assert_eq!(errno(fs::rename(&path, mount.at(".swapfs/other"))), EROFS, "{name}");
            assert_eq!(errno(fs::hard_link(&path, mount.at(".swapfs/other"))), EROFS, "{name}");
            let opened = File::open(&path).unwrap();
            assert!(rustix::fs::ioctl_blksszget(&opened).is_err(), "{name} answers an ioctl");
            assert!(rustix::fs::ioctl_getflags(&opened).is_err(), "{name} answers an ioctl");
        }
        assert_eq!(errno(fs::create_dir(mount.at(".swapfs/new"))), EROFS);
        assert_eq!(errno(symlink("/etc/passwd", mount.at(".swapfs/new"))), EROFS);
    });
}
