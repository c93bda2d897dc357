//! The instructions of a filter and the call that it looks at, as the kernel lays them out.

/// Most instructions of one filter (BPF_MAXINSNS).
pub const LONGEST: usize = 4096;
/// Bytes of an instruction in memory.
pub const INSTRUCTION_BYTES: usize = 8;

/// `arch` of calls made the 64-bit way (AUDIT_ARCH_X86_64).
pub const ARCH_X86_64: u32 = 0xc000_003e;

/// One instruction of a filter: `struct sock_filter`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// Class, operation and mode.
    pub code: u16,
    /// How many instructions a comparison that holds skips.
    pub jump_true: u8,
    /// How many one that does not hold skips.
    pub jump_false: u8,
    /// The constant `k`.
    pub constant: u32,
}

impl Instruction {
    /// From its bytes in memory.
    pub const fn from_bytes(
        [c0, c1, jump_true, jump_false, k0, k1, k2, k3]: [u8; INSTRUCTION_BYTES],
    ) -> Instruction {
        let (code, constant) = (u16::from_le_bytes([c0, c1]), u32::from_le_bytes([k0, k1, k2, k3]));
        Instruction { code, jump_true, jump_false, constant }
    }

    /// Its bytes in memory.
    pub const fn to_bytes(self) -> [u8; INSTRUCTION_BYTES] {
        let ([c0, c1], [k0, k1, k2, k3]) = (self.code.to_le_bytes(), self.constant.to_le_bytes());
        [c0, c1, self.jump_true, self.jump_false, k0, k1, k2, k3]
    }
}

/// A call as filters see it: `struct seccomp_data`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data {
    /// The call's number.
    pub number: u32,
    /// The way it was made (AUDIT_ARCH_*).
    pub arch: u32,
    /// The address behind the instruction that made it.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub args: [u64; 6],
}
