//! Every number of the report can be moved: each has a run here that moves it. A number without one fails the test, so
//! a new counter comes with what it counts.
//!
//! Assumes gcc, userfaultfd, syscall user dispatch. Needs no mount.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::{Holding, Paging};
use integration::processes::wait_until;
use integration::scratch::Scratch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);

/// More processes than the report's table has rows.
const CROWD: &str = "2060";

/// What gives the report of a run.
type Reported = fn() -> Value;

/// A run, and what it moves that those before it do not.
struct Scene {
    name: &'static str,
    report: Reported,
    moves: &'static [&'static str],
}

const SCENES: &[Scene] = &[
    Scene {
        name: "programs in less memory than they use",
        report: || merged(&["random_access", "exit_code"]),
        moves: &[
            "schema_version",
            "supervisor_pid",
            "pid",
            "elapsed_ns",
            "page_bytes",
            "exit.code",
            "cap_pages",
            "cap_bytes",
            "resident_peak_pages",
            "resident_peak_bytes",
            "resident_mean_pages",
            "resident_mean_bytes",
            "resident_all_peak_pages",
            "resident_all_peak_bytes",
            "faults.image",
            "faults.zero",
            "faults.swap_in",
            "faults.protection",
            "faults.total",
            "fault_time.count",
            "fault_time.total_ns",
            "fault_time.mean_ns",
            "fault_time.p50_ns",
            "fault_time.p90_ns",
            "fault_time.p99_ns",
            "fault_time.p999_ns",
            "fault_time.max_ns",
            "fault_time.buckets.from_ns",
            "fault_time.buckets.count",
            "pages.filled",
            "pages.image",
            "pages.image_mapped",
            "pages.image_read",
            "pages.zero",
            "pages.swap_in",
            "pages.ahead",
            "pages.evicted",
            "pages.written",
            "pages.zero_dropped",
            "bytes_image_read",
            "swap.capacity_bytes",
            "swap.peak_bytes",
            "swap.reads",
            "swap.writes",
            "swap.files.capacity_bytes",
            "swap.files.peak_bytes",
            "images.device",
            "images.inode",
            "images.pages_filled",
            "images.pages_mapped",
            "images.pages_read",
            "images.bytes_read",
            "images.bytes_headers",
            "images.pages_evicted",
            "images.bytes_mapped",
            "calls.trapped",
            "calls.managed",
            "calls.refused",
            "execs",
            "process_table.pid",
            "process_table.parent",
            "process_table.faults",
            "process_table.resident_peak_bytes",
            "process_table.swap_peak_bytes",
            "process_table.exit.code",
        ],
    },
    Scene {
        name: "large buffers of calls",
        report: || guest("big_buffers", &[]),
        moves: &["pages.for_calls"],
    },
    Scene {
        name: "threads that fault on the same pages, with handlers",
        report: || merged(&["pthreads", "signals_nested"]),
        moves: &["faults.waited", "signals_delivered", "threads"],
    },
    Scene {
        name: "a program that dies of its own fault",
        report: || guest("null_read", &[]),
        moves: &[
            "faults.program",
            "exit.signal",
            "process_table.exit.signal",
            "failure.pid",
            "failure.detail",
        ],
    },
    Scene { name: "a call that there is not", report: || guest("sandboxes", &[]), moves: &["calls.unknown"] },
    Scene {
        name: "a program that cannot be paged",
        report: || guest("exec_rules", &[]),
        moves: &["execs_native"],
    },
    Scene {
        name: "children that run natively",
        report: || finished(Paging::new().option("--children", "native"), "/bin/sh", &["-c", "/bin/true; :"]),
        moves: &["execs_native_children", "processes"],
    },
    Scene {
        name: "memory that many processes share",
        report: || guest("shared_memory", &[]),
        moves: &["unmanaged_shared_bytes", "process_table.unmanaged_shared_bytes"],
    },
    Scene {
        name: "memory of devices, huge pages, and more processes than rows",
        report: || guest("left_to_kernel", &[CROWD]),
        moves: &[
            "unmanaged_other_bytes",
            "process_table.unmanaged_device_bytes",
            "process_table.unmanaged_huge_bytes",
            "process_table_dropped",
        ],
    },
    Scene {
        name: "a file that ends before its mapping",
        report: || guest("shared_readonly", &[]),
        moves: &["io_errors"],
    },
    Scene {
        name: "a run under way",
        report: || Held::start().interim(),
        moves: &["resident_now_pages", "resident_now_bytes", "swap.used_bytes", "swap.files.used_bytes"],
    },
    Scene { name: "a swap file that was written over", report: corrupted, moves: &["checksum_errors"] },
];

fn finished(paging: Paging, program: impl AsRef<Path>, arguments: &[&str]) -> Value {
    let scratch = Scratch::new("counters");
    let report = scratch.join("report.json");
    let _ = paging.command(program.as_ref(), &report).args(arguments).limit(LIMIT).outcome();
    read(&report)
}

fn read(report: &Path) -> Value {
    let text = std::fs::read_to_string(report).expect("the pager left a report");
    serde_json::from_str(&text).expect("it is JSON")
}

fn guest(name: &str, arguments: &[&str]) -> Value {
    finished(Paging::new().resident("512K"), guests::build(name, Link::Dynamic), arguments)
}

/// The reports of several guests, as a list.
fn merged(names: &[&str]) -> Value {
    names.iter().map(|name| guest(name, &[])).collect()
}

/// A run that holds 40 MiB of its own, most of them in a swap file.
struct Held {
    run: Holding,
    scratch: Scratch,
}

impl Held {
    fn start() -> Held {
        let scratch = Scratch::new("held");
        let swap = scratch.join("swap");
        File::create(&swap).and_then(|file| file.set_len(64 << 20)).expect("a swap file");
        let run = Paging::new().resident("2M").swap(&swap).hold(scratch.join("report.json"));
        Held { run, scratch }
    }

    /// The report as it stands.
    fn interim(&self) -> Value {
        let report = self.scratch.join("report.json");
        kill(Pid::from_raw(self.run.pager.id() as i32), Signal::SIGUSR1).expect("the pager runs");
        let whole = || std::fs::read_to_string(&report).is_ok_and(|text| text.ends_with('\n'));
        assert!(wait_until(LIMIT, whole), "SIGUSR1 asks for a report");
        read(&report)
    }
}

fn corrupted() -> Value {
    let mut held = Held::start();
    let swap = OpenOptions::new().write(true).open(held.scratch.join("swap")).expect("the swap file");
    (0..(64 << 20) / 4096)
        .for_each(|page| swap.write_all_at(b"x", page * 4096 + 17).expect("it can be written"));
    held.run.pager.stdin.as_mut().expect("piped").write_all(b"\n").expect("the guest waits for a line");
    let report = held.scratch.join("report.json");
    assert!(
        wait_until(LIMIT, || matches!(held.run.pager.try_wait(), Ok(Some(_)))),
        "what it reads is not there"
    );
    read(&report)
}

/// The numbers of a report by their path, without the places in lists; of several with one path the largest.
fn numbers(value: &Value, path: &str, found: &mut BTreeMap<String, u64>) {
    match value {
        Value::Number(number) => {
            let most = found.entry(path.to_owned()).or_default();
            *most = (*most).max(number.as_u64().expect("no number of a report is negative"));
        }
        Value::Array(values) => values.iter().for_each(|value| numbers(value, path, found)),
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                numbers(value, &path, found);
            }
        }
        _ => {}
    }
}

#[test]
fn each_number_of_the_report_has_a_run_that_moves_it() {
    let mut there = BTreeSet::new();
    for scene in SCENES {
        let mut found = BTreeMap::new();
        numbers(&(scene.report)(), "", &mut found);
        for path in scene.moves {
            assert!(
                found.get(*path).is_some_and(|value| *value > 0),
                "{}: {path} is {:?}",
                scene.name,
                found.get(*path)
            );
        }
        there.extend(found.into_keys());
    }
    let moved: BTreeSet<&str> = SCENES.iter().flat_map(|scene| scene.moves.iter().copied()).collect();
    let left: Vec<&String> = there.iter().filter(|path| !moved.contains(path.as_str())).collect();
    assert!(left.is_empty(), "nothing here moves {left:?}");
}
