//! Any bytes at all, shown as an archive: no panic, bounded work, and what is shown fits together.
//!
//! `cargo +nightly fuzz run archive seeds` in `swapfs`, or `fuzz/run` without cargo-fuzz. The same checks run
//! on stable in `tests/archive_seeds.rs`.
#![no_main]

#[path = "../../tests/archive_support/mod.rs"]
mod archive_support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| archive_support::check(bytes));
