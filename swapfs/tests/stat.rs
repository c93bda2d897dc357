//! `swapfs stat --interval`: counts first, then rates of what was used between two looks, as iostat shows
//! them.

mod fixture;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Stdio};

use fixture::*;
use rustix::process::{Pid, Signal, kill_process};

const READS: u64 = 100;

fn pages(mount: &Mount) {
    fs::write(mount.source().join("f"), vec![5; 4096 * READS as usize]).unwrap();
}

/// `swapfs stat`, running. The fixture tears the mount down where a line never comes, which ends it.
fn watch(mount: &Mount, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child =
        program().arg("stat").arg(mount.point()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The next table of rates: by file, its cells.
fn rates(lines: &mut Lines<BufReader<ChildStdout>>) -> Vec<(String, Vec<String>)> {
    let cells = |line: String| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap_or_default(), words.collect::<Vec<_>>())
    };
    let head = lines.by_ref().map(|line| cells(line.unwrap())).find(|(first, _)| first == "file").unwrap();
    assert_eq!(head.1[..4], ["reads/s", "read/s", "r", "p99"], "{head:?}");
    let mut rows = Vec::new();
    while rows.last().is_none_or(|(name, _): &(String, Vec<String>)| name != "total") {
        rows.push(cells(lines.next().unwrap().unwrap()));
    }
    rows
}

fn number(cells: &[String]) -> f64 {
    if cells[0] == "-" { 0.0 } else { cells[0].parse().unwrap() }
}

/// No rate can be above what was read, as the looks are a second apart at least; and it goes when nothing is
/// read any more.
#[test]
fn rates_are_of_what_was_done_between_two_looks_until_a_signal() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let file = File::open(mount.at("images/source/f")).unwrap();
        let (mut child, mut lines) = watch(mount, &["--interval", "1"]);
        // The counts since the mount end with those of processes; they are followed by an empty line.
        let before =
            lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("images/source/f")).unwrap();
        assert_eq!(before.split_whitespace().nth(3), Some("0"), "{before}");
        lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("total")).unwrap();
        (0..READS).for_each(|page| file.read_exact_at(&mut [0; 4096], page * 4096).unwrap());
        let mut seen = 0.0;
        while seen == 0.0 {
            let rows = rates(&mut lines);
            if let Some((_, cells)) = rows.iter().find(|(name, _)| name == "images/source/f") {
                seen = number(cells);
                assert!(seen > 0.0 && seen <= READS as f64, "{rows:?}");
            }
        }
        let idle = (0..3).map(|_| rates(&mut lines)).find(|rows| rows.len() == 1);
        assert!(idle.is_some_and(|rows| number(&rows[0].1) == 0.0), "an idle file is left out");
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(2));
    });
}

/// What two looks say that are apart by some reads is apart by just those.
#[test]
fn looks_are_apart_by_what_was_read_and_end_after_a_count() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let file = File::open(mount.at("images/source/f")).unwrap();
        let (mut child, mut lines) = watch(mount, &["--json", "--interval", "0.3", "--count", "4"]);
        let mut look = || -> Option<u64> {
            let text: String = lines.by_ref().map(Result::unwrap).take_while(|line| line != "}").collect();
            if text.is_empty() {
                return None;
            }
            let snapshot: serde_json::Value = serde_json::from_str(&(text + "}")).unwrap();
            snapshot["total"]["read_ops"].as_u64()
        };
        assert_eq!(look(), Some(0));
        (0..READS).for_each(|page| file.read_exact_at(&mut [0; 4096], page * 4096).unwrap());
        let later: Vec<u64> = std::iter::from_fn(look).collect();
        assert_eq!(later.len(), 3, "{later:?}");
        assert!(later.is_sorted() && later.iter().all(|reads| *reads <= READS), "{later:?}");
        assert_eq!(mount.stats().total.read_ops, READS);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}
