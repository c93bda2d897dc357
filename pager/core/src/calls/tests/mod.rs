//! Tests of the table and of the expansion. Pure: a made-up memory, spans worked out by hand.

mod commands;
mod ioctls;
mod nested;
mod property;
mod prototypes;
mod rows;
mod timeout;
mod transfer;

use super::*;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use Direction::{In, InOut, Out};

const PAGE: u64 = 4096;

/// Memory of which only some pages are there.
#[derive(Default)]
struct FakeMemory {
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
    reads: u64,
}

impl FakeMemory {
    /// Stores bytes; the pages that they lie in come to be, zeroed elsewhere.
    fn put(&mut self, addr: u64, bytes: &[u8]) -> &mut Self {
        for (at, byte) in (addr..).zip(bytes) {
            let page = self.pages.entry(at / PAGE).or_insert_with(|| Box::new([0; PAGE as usize]));
            page[(at % PAGE) as usize] = *byte;
        }
        self
    }

    fn u32(&mut self, addr: u64, value: u32) -> &mut Self {
        self.put(addr, &value.to_le_bytes())
    }

    fn u64s(&mut self, addr: u64, values: &[u64]) -> &mut Self {
        for (at, value) in (addr..).step_by(8).zip(values) {
            self.put(at, &value.to_le_bytes());
        }
        self
    }
}

impl UserMemory for FakeMemory {
    fn read(&mut self, addr: u64, into: &mut [u8]) -> Result<(), Fault> {
        assert!(into.len() <= 256, "a read of {} bytes", into.len());
        self.reads += 1;
        for (at, byte) in (addr..).zip(into) {
            let page = self.pages.get(&(at / PAGE)).ok_or(Fault { addr: at })?;
            *byte = page[(at % PAGE) as usize];
        }
        Ok(())
    }
}

fn named(name: &str) -> &'static Row {
    (0..ROWS as u64).filter_map(row).find(|row| row.name == name).unwrap_or_else(|| panic!("no call {name}"))
}

/// The six arguments, of which the last ones may be left out.
fn args(given: &[u64]) -> [u64; 6] {
    let mut args = [0; 6];
    args[..given.len()].copy_from_slice(given);
    args
}

/// A span as a tuple.
type Run = (u64, u64, Direction);

fn expand(name: &str, given: &[u64], memory: &mut FakeMemory) -> (Vec<Run>, Result<(), Fault>) {
    let mut spans = Vec::new();
    let outcome = buffers(named(name), &args(given), memory, &mut |span| {
        spans.push((span.addr, span.len, span.direction))
    });
    (spans, outcome)
}

/// The spans of a call that has no fault.
fn spans(name: &str, given: &[u64], memory: &mut FakeMemory) -> Vec<Run> {
    let (spans, outcome) = expand(name, given, memory);
    assert_eq!(outcome, Ok(()), "{name}");
    spans
}

/// The spans of a call that needs no look at memory.
fn flat(name: &str, given: &[u64]) -> Vec<Run> {
    let mut memory = FakeMemory::default();
    let spans = spans(name, given, &mut memory);
    assert_eq!(memory.reads, 0, "{name} read memory");
    spans
}
