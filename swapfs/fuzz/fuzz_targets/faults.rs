//! Any text at all, read as fault rules: see README.md for what is checked.
//!
//! `cargo +nightly fuzz run faults seeds-faults` in `swapfs`, or `fuzz/run 60 faults` without cargo-fuzz.
#![no_main]

use std::path::Path;

use swapfs::faults::{Failure, Faults, parse_faults};
use swapfs::throttle::{Client, Direction};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match parse_faults(text) {
        Err(error) => {
            let line = text.lines().nth(error.line - 1).expect("a line that is there");
            assert!((1..=line.len() + 1).contains(&error.column) && !error.why.is_empty());
        }
        Ok(rules) => {
            let shown: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
            assert_eq!(parse_faults(&shown).expect("what is shown reads back"), rules);
            judge(Faults::new(rules, 1), text.as_bytes());
        }
    }
});

/// Has requests judged as `bytes` have it: verdicts are possible ones, and counted.
fn judge(mut faults: Faults, bytes: &[u8]) {
    let client = Client { pid: 7, comm: "sort", cgroups: &[] };
    let mut data = [0; 4096];
    let (mut failures, mut short, mut changed) = ([0; 2], 0, 0);
    for byte in bytes.iter().take(64) {
        let direction = if byte & 1 == 0 { Direction::Read } else { Direction::Write };
        let size = usize::from(*byte) << (byte % 8) & 4095;
        let verdict = faults.judge(Path::new("swap/a"), &client, direction, size);
        match verdict.failure {
            Some(Failure::Io) => failures[0] += 1,
            Some(Failure::NoSpace) => failures[1] += 1,
            None => {}
        }
        if let Some(most) = verdict.most_bytes {
            assert!(direction == Direction::Read && (1..size).contains(&most));
            short += 1;
        }
        let before = data;
        faults.corrupt(&verdict, &mut data[..size]);
        changed += before.iter().zip(&data).filter(|(a, b)| a != b).count() as u64;
    }
    let counts = faults.counts();
    assert_eq!((counts.eio, counts.enospc, counts.short_reads, counts.corrupt_bytes), (failures[0], failures[1], short, changed));
}
