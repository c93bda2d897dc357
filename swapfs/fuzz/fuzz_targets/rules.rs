//! Any text at all, read as throttle rules: see README.md for what is checked.
//!
//! `cargo +nightly fuzz run rules seeds-rules` in `swapfs`, or `fuzz/run 60 rules` without cargo-fuzz.
#![no_main]

use std::collections::BTreeSet;
use std::path::Path;

use swapfs::throttle::{Client, Direction, Known, Nanos, Planned, Request, Rule, Throttle, Ticket, parse_rules};

const PATH: &str = "swap/a";

libfuzzer_sys::fuzz_target!(|text: &str| {
    match parse_rules(text) {
        Err(error) => {
            let line = text.lines().nth(error.line - 1).expect("a line that is there");
            assert!((1..=line.len() + 1).contains(&error.column) && !error.why.is_empty());
        }
        Ok(rules) => {
            let shown: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
            assert_eq!(parse_rules(&shown).expect("what is shown reads back"), rules);
            serve(&rules, text.as_bytes());
        }
    }
});

/// Submits requests as `bytes` have it, and sees each of them through.
fn serve(rules: &[Rule], bytes: &[u8]) {
    let mut throttle = Throttle::new(rules, 1);
    let (mut now, mut waiting, mut planned) = (Nanos(0), BTreeSet::new(), Vec::new());
    let client = Client { pid: 7, comm: "sort", cgroups: &["/user.slice/a".to_owned()] };
    for (number, byte) in bytes.iter().take(64).enumerate() {
        now = now.after(Nanos(u64::from(*byte) << (byte % 40)));
        throttle.advance(now, &mut planned);
        let direction = if byte & 1 == 0 { Direction::Read } else { Direction::Write };
        let file = u64::from(byte % 5);
        let (bytes, way) = (now.0 >> (byte % 64), Nanos(u64::from(byte % 7)));
        let request = Request { file, pid: 7, direction, offset: now.0, bytes, arrived: now, way };
        let rule = throttle.rule_for(throttle.know(Known::default(), Path::new(PATH)), Path::new(PATH), &client);
        let ticket = Ticket(number as u64);
        match throttle.submit(rule, now, ticket, &request) {
            Planned::Free => assert_eq!(rule, None),
            Planned::At(at) => assert!(at >= now),
            Planned::Queued => assert!(waiting.insert(ticket)),
        }
    }
    while let Some(next) = throttle.next() {
        now = now.max(next);
        throttle.advance(now, &mut planned);
    }
    planned.iter().for_each(|(ticket, _)| assert!(waiting.remove(ticket)));
    assert!(waiting.is_empty());
}
