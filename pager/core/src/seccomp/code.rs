//! Instruction codes of classic BPF that a seccomp filter may have (linux/bpf_common.h).

pub const LD_ABS: u16 = 0x20;
pub const LD_LEN: u16 = 0x80;
pub const LDX_LEN: u16 = 0x81;
pub const LD_IMM: u16 = 0x00;
pub const LDX_IMM: u16 = 0x01;
pub const LD_MEM: u16 = 0x60;
pub const LDX_MEM: u16 = 0x61;
pub const ST: u16 = 0x02;
pub const STX: u16 = 0x03;
pub const TAX: u16 = 0x07;
pub const TXA: u16 = 0x87;
pub const RET_K: u16 = 0x06;
pub const RET_A: u16 = 0x16;
pub const NEG: u16 = 0x84;

/// Arithmetic with the constant; with [`X`] added, with the index register.
pub const ADD: u16 = 0x04;
pub const SUB: u16 = 0x14;
pub const MUL: u16 = 0x24;
pub const DIV: u16 = 0x34;
pub const OR: u16 = 0x44;
pub const AND: u16 = 0x54;
pub const LSH: u16 = 0x64;
pub const RSH: u16 = 0x74;
pub const XOR: u16 = 0xa4;

pub const JA: u16 = 0x05;
/// Comparisons with the constant; with [`X`] added, with the index register.
pub const JEQ: u16 = 0x15;
pub const JGT: u16 = 0x25;
pub const JGE: u16 = 0x35;
pub const JSET: u16 = 0x45;

/// The operand is the index register (BPF_X).
pub const X: u16 = 0x08;

/// Words of scratch memory (BPF_MEMWORDS).
pub const MEMORY_WORDS: usize = 16;
/// Bytes of `struct seccomp_data`, which is what filters load from.
pub const DATA_BYTES: u32 = 64;

/// What a comparison's code compares, without its operand; nothing for other codes.
pub const fn comparison(code: u16) -> Option<u16> {
    match code & !X {
        operation @ (JEQ | JGT | JGE | JSET) => Some(operation),
        _ => None,
    }
}

/// What an arithmetic code with two operands computes; nothing for other codes.
pub const fn arithmetic(code: u16) -> Option<u16> {
    match code & !X {
        operation @ (ADD | SUB | MUL | DIV | OR | AND | LSH | RSH | XOR) => Some(operation),
        _ => None,
    }
}
