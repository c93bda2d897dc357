//! Fixtures for the end-to-end tests, the benches and the demo.
//!
//! Owns: building and finding the two programs, mounting a scratch `swapfs`, running a program natively or
//! under `pager` with a time limit, sampling its resident memory, the guests (`guests/*.c`) and the workloads
//! made of real programs. Owns no assertion: those stand in `tests/`. Depends on neither `pager` nor `swapfs`
//! as a library: it sees what a user sees.

pub mod bench;
pub mod binaries;
pub mod catalogue;
pub mod cold_copy;
pub mod comparison;
pub mod control_group;
pub mod differential;
pub mod floor;
pub mod guests;
pub mod imports;
pub mod inputs;
pub mod kernels;
pub mod mount;
pub mod paged;
pub mod places;
pub mod processes;
pub mod report;
pub mod resident;
pub mod run;
pub mod scratch;
pub mod tools;
pub mod traces;
pub mod workloads;

/// What a process under `pager` may hold above its cap: the runtime's own arena, thread blocks and shared
/// counters, the supervisor's mappings in it, and the pages that one system call pins.
pub const STATED_SLACK_BYTES: u64 = 4 << 20;
