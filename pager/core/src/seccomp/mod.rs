//! Seccomp: classic BPF filters over system calls, as Linux checks, runs and combines them.
//!
//! The kernel cannot run a paged program's filters: it would apply them to the runtime's calls, and would see
//! the runtime's instruction pointer. So the runtime runs them, on each call as the program made it. This
//! module owns what of that is plain data: which filters are valid ([`Filter::check`]), what one answers
//! ([`Filter::run`]), what several answer together ([`Verdict`]), and how they are written down for the next
//! program ([`encode`]). It does not own which thread has which filters, nor what is done about a verdict.
//!
//! Source: kernel/seccomp.c and net/core/filter.c of Linux 6.18.

mod chain;
mod check;
mod code;
mod filter;
mod instruction;
mod run;
#[cfg(test)]
mod tests;
mod verdict;

pub use chain::{Entry, Made, decode, encode, path_has_room};
pub use check::Invalid;
pub use filter::Filter;
pub use instruction::{ARCH_X86_64, Data, INSTRUCTION_BYTES, Instruction, LONGEST};
pub use verdict::{Action, Verdict};
