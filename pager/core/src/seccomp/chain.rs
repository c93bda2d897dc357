//! A thread's filters together: how long they may be, and how they are handed to the next program.

use alloc::vec::Vec;

use super::code::{DIV, JEQ, JGE, JGT, RET_K, X, comparison};
use super::filter::Filter;
use super::instruction::{INSTRUCTION_BYTES, Instruction};

/// Most instructions of a thread's filters together, as the kernel counts them (MAX_INSNS_PER_PATH).
const LONGEST_PATH: usize = 32768;
/// What the kernel adds for each filter but the newest.
const STEP: usize = 4;
/// Instructions at the head of each translated filter.
const PROLOGUE: usize = 3;

/// Which call installed a filter. Where the kernel has to have the filters (a program that runs natively),
/// the older ones are known to allow that call, and no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// seccomp(2).
    BySeccomp,
    /// prctl(2).
    ByPrctl,
}

/// One filter of several, oldest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The filter.
    pub filter: Filter,
    /// How it came.
    pub made: Made,
    /// SECCOMP_FILTER_FLAG_LOG and SECCOMP_FILTER_FLAG_SPEC_ALLOW, as they were given.
    pub flags: u32,
}

/// Whether `new` may be installed on top of `before`; ENOMEM otherwise.
pub fn path_has_room<'a>(new: &Filter, before: impl Iterator<Item = &'a Filter>) -> bool {
    let total = before.fold(translated(new), |total, filter| total + translated(filter) + STEP);
    total <= LONGEST_PATH
}

/// Instructions of the eBPF program that bpf_convert_filter makes of a filter: this is what the kernel
/// counts.
fn translated(filter: &Filter) -> usize {
    PROLOGUE + filter.instructions().iter().map(translated_instruction).sum::<usize>()
}

fn translated_instruction(instruction: &Instruction) -> usize {
    let Instruction { code, jump_true, jump_false, constant } = *instruction;
    const DIV_X: u16 = DIV | X;
    match (code, comparison(code)) {
        (RET_K, _) => 2,
        // The check for zero.
        (DIV_X, _) => 5,
        (_, Some(operation)) => {
            // Constants are signed in eBPF: a large one goes into a register first.
            let load = usize::from(code & X == 0 && (constant as i32) < 0);
            let is_invertible = matches!(operation, JEQ | JGT | JGE);
            load + if jump_false == 0 || jump_true == 0 && is_invertible { 1 } else { 2 }
        }
        _ => 1,
    }
}

const HEADER_WORDS: usize = 3;
const WORD: usize = 4;

/// Writes filters down, oldest first.
pub fn encode<'a>(entries: impl Iterator<Item = (&'a Filter, Made, u32)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (filter, made, flags) in entries {
        let header = [filter.instructions().len() as u32, u32::from(made == Made::ByPrctl), flags];
        header.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        filter.instructions().iter().for_each(|instruction| bytes.extend(instruction.to_bytes()));
    }
    bytes
}

/// Reads what [`encode`] wrote; nothing where the bytes are something else.
pub fn decode(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_at_checked(HEADER_WORDS * WORD)?;
        let word = |at: usize| Some(u32::from_le_bytes(header[at * WORD..][..WORD].try_into().ok()?));
        let (body, rest) = rest.split_at_checked((word(0)? as usize).checked_mul(INSTRUCTION_BYTES)?)?;
        let (instructions, _) = body.as_chunks::<INSTRUCTION_BYTES>();
        let filter =
            Filter::check(instructions.iter().copied().map(Instruction::from_bytes).collect()).ok()?;
        let made = if word(1)? == 0 { Made::BySeccomp } else { Made::ByPrctl };
        entries.push(Entry { filter, made, flags: word(2)? });
        bytes = rest;
    }
    Some(entries)
}
