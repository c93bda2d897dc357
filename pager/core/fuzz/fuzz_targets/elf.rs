//! Any bytes at all, read as an exec would read a file: no panic, and whatever is accepted can be mapped.
//!
//! `cargo +nightly fuzz run elf seeds` in `pager/core`, or `fuzz/run` without cargo-fuzz. The same checks run
//! on stable in `tests/elf_seeds.rs`.
#![no_main]

#[path = "../../tests/elf_support/mod.rs"]
mod elf_support;

libfuzzer_sys::fuzz_target!(|file: &[u8]| elf_support::check(file));
