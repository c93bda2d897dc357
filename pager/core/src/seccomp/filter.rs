//! A filter that was found valid.

use alloc::vec::Vec;

use super::instruction::{Data, Instruction};
use super::{Invalid, check, run};

/// A valid filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    instructions: Vec<Instruction>,
}

impl Filter {
    /// Takes a filter as a program wrote it.
    ///
    /// # Errors
    /// [`Invalid`] (EINVAL) where the kernel would not have it.
    pub fn check(instructions: Vec<Instruction>) -> Result<Filter, Invalid> {
        check::check(&instructions)?;
        Ok(Filter { instructions })
    }

    /// The instructions as they were given.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// What the filter answers for a call (`SECCOMP_RET_*` and 16 bits of data).
    pub fn run(&self, data: &Data) -> u32 {
        run::run(&self.instructions, data)
    }
}
