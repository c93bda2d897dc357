//! Any text at all, read as a configuration: no panic, and what is read is of known keys, of lines that are
//! there, and fit to be an argument.
//!
//! `cargo +nightly fuzz run config seeds-config` in `swapfs`, or `fuzz/run 60 config` without cargo-fuzz.
#![no_main]

use swapfs::config::{Setting, Takes, parse};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let known = [("strict", Takes::Switch), ("verbose", Takes::Count), ("threads", Takes::Value), ("swap", Takes::Values)];
    let known = known.map(|(name, takes)| (name.to_owned(), takes));
    let lines = 1 + text.matches('\n').count();
    match parse(text, &known) {
        Err(error) => assert!((1..=lines).contains(&error.line) && !error.why.is_empty()),
        Ok(entries) => {
            assert!(entries.is_sorted_by_key(|entry| entry.line));
            for entry in entries {
                let takes = known.iter().find(|(name, _)| *name == entry.key).expect("a known key").1;
                assert!((1..=lines).contains(&entry.line));
                match (takes, entry.setting) {
                    (Takes::Switch, Setting::Switch(_)) | (Takes::Count, Setting::Count(0..=9)) => {}
                    (Takes::Value, Setting::Values(values)) => assert_eq!(values.len(), 1),
                    (Takes::Values, Setting::Values(values)) => assert!(values.iter().all(|value| !value.contains('\0'))),
                    (takes, setting) => panic!("{takes:?} gave {setting:?}"),
                }
            }
        }
    }
});
