//! Running a filter. The kernel translates it to eBPF first; what that makes of the corners is said where
//! they are.

use super::code::{
    ADD, AND, DATA_BYTES, DIV, JA, JEQ, JGE, JGT, LD_ABS, LD_IMM, LD_LEN, LD_MEM, LDX_IMM, LDX_LEN, LDX_MEM,
    LSH, MEMORY_WORDS, MUL, NEG, OR, RET_A, RET_K, RSH, ST, STX, SUB, TAX, TXA, X, XOR, arithmetic,
    comparison,
};
use super::instruction::{Data, Instruction};

/// What a filter that divides by zero answers (SECCOMP_RET_KILL_THREAD).
const DIVIDED_BY_ZERO: u32 = 0;

/// Runs a filter that was checked: it ends, because jumps go forward only and the last instruction returns.
pub fn run(filter: &[Instruction], data: &Data) -> u32 {
    let mut memory = [0u32; MEMORY_WORDS];
    let (mut a, mut x) = (0u32, 0u32);
    let mut at = 0;
    while let Some(&Instruction { code, jump_true, jump_false, constant }) = filter.get(at) {
        at += 1;
        let operand = if code & X == 0 { constant } else { x };
        let word = constant as usize % MEMORY_WORDS;
        match code {
            LD_ABS => a = data.word(constant),
            LD_LEN => a = DATA_BYTES,
            LDX_LEN => x = DATA_BYTES,
            LD_IMM => a = constant,
            LDX_IMM => x = constant,
            LD_MEM => a = memory[word],
            LDX_MEM => x = memory[word],
            ST => memory[word] = a,
            STX => memory[word] = x,
            TAX => x = a,
            TXA => a = x,
            NEG => a = a.wrapping_neg(),
            RET_K => return constant,
            RET_A => return a,
            JA => at += constant as usize,
            _ => match (comparison(code), arithmetic(code)) {
                (Some(operation), _) => {
                    at += usize::from(if holds(operation, a, operand) { jump_true } else { jump_false });
                }
                (_, Some(operation)) => match compute(operation, a, operand) {
                    Some(result) => a = result,
                    None => return DIVIDED_BY_ZERO,
                },
                (None, None) => break,
            },
        }
    }
    // Not reached by a filter that was checked.
    DIVIDED_BY_ZERO
}

fn holds(operation: u16, a: u32, operand: u32) -> bool {
    match operation {
        JEQ => a == operand,
        JGT => a > operand,
        JGE => a >= operand,
        _ => a & operand != 0,
    }
}

/// Arithmetic of 32 bits; nothing where it divides by zero. Shifts by an index register of 32 or more shift
/// by its lower five bits, as eBPF's do.
fn compute(operation: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        ADD => a.wrapping_add(operand),
        SUB => a.wrapping_sub(operand),
        MUL => a.wrapping_mul(operand),
        DIV => return a.checked_div(operand),
        OR => a | operand,
        AND => a & operand,
        LSH => a.wrapping_shl(operand),
        RSH => a.wrapping_shr(operand),
        XOR => a ^ operand,
        _ => return None,
    })
}

impl Data {
    /// The 32-bit word at an offset into `struct seccomp_data`.
    fn word(&self, offset: u32) -> u32 {
        let half = |value: u64| (if offset & 4 == 0 { value } else { value >> 32 }) as u32;
        match offset {
            0 => self.number,
            4 => self.arch,
            8 | 12 => half(self.instruction_pointer),
            _ => self.args.get((offset as usize - 16) / 8).map_or(0, |arg| half(*arg)),
        }
    }
}
