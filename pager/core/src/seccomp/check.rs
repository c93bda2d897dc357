//! Which filters are valid: bpf_check_classic and check_load_and_stores of net/core/filter.c,
//! seccomp_check_filter of kernel/seccomp.c. All of them answer EINVAL, so it does not matter which complains
//! first.

use alloc::vec;

use super::code::{
    DATA_BYTES, DIV, JA, LD_ABS, LD_IMM, LD_LEN, LD_MEM, LDX_IMM, LDX_LEN, LDX_MEM, LSH, MEMORY_WORDS, NEG,
    RET_A, RET_K, RSH, ST, STX, TAX, TXA, X, arithmetic, comparison,
};
use super::instruction::{Instruction, LONGEST};

/// A filter that the kernel would refuse with EINVAL, and at which instruction it was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("instruction {at} of a seccomp filter is not valid")]
pub struct Invalid {
    /// Index of the instruction.
    pub at: usize,
}

/// Checks a whole filter.
///
/// # Errors
/// [`Invalid`].
pub fn check(filter: &[Instruction]) -> Result<(), Invalid> {
    if filter.is_empty() || filter.len() > LONGEST {
        return Err(Invalid { at: filter.len() });
    }
    let wrong = (0..filter.len()).find(|at| !is_valid(filter, *at));
    if let Some(at) = wrong {
        return Err(Invalid { at });
    }
    let last = filter.len() - 1;
    if !matches!(filter[last].code, RET_K | RET_A) {
        return Err(Invalid { at: last });
    }
    memory_is_written_first(filter)
}

/// Whether an instruction may stand where it does, looked at alone.
fn is_valid(filter: &[Instruction], at: usize) -> bool {
    let Instruction { code, jump_true, jump_false, constant } = filter[at];
    // Instructions behind this one.
    let behind = filter.len() - at - 1;
    match code {
        LD_ABS => constant < DATA_BYTES && constant.is_multiple_of(4),
        LD_MEM | LDX_MEM | ST | STX => (constant as usize) < MEMORY_WORDS,
        JA => (constant as usize) < behind,
        RET_K | RET_A | NEG | TAX | TXA | LD_IMM | LDX_IMM | LD_LEN | LDX_LEN => true,
        _ if comparison(code).is_some() => usize::from(jump_true.max(jump_false)) < behind,
        _ => match arithmetic(code) {
            Some(DIV) if code & X == 0 => constant != 0,
            Some(LSH | RSH) if code & X == 0 => constant < u32::BITS,
            operation => operation.is_some(),
        },
    }
}

/// No word of scratch memory may be read before it was written, on whatever way through the filter. The rules
/// are the kernel's, to the letter: what stands behind a jump that nobody reaches counts as reached with
/// everything written.
fn memory_is_written_first(filter: &[Instruction]) -> Result<(), Invalid> {
    let mut reached_with = vec![u16::MAX; filter.len()];
    let mut written = 0u16;
    for (at, instruction) in filter.iter().enumerate() {
        written &= reached_with[at];
        let mut jumps = |by: usize| reached_with[at + 1 + by] &= written;
        match instruction.code {
            ST | STX => written |= 1 << instruction.constant,
            LD_MEM | LDX_MEM if written & 1 << instruction.constant == 0 => return Err(Invalid { at }),
            JA => {
                jumps(instruction.constant as usize);
                written = u16::MAX;
            }
            code if comparison(code).is_some() => {
                jumps(instruction.jump_true.into());
                jumps(instruction.jump_false.into());
                written = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}
