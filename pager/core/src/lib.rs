//! Demand paging as plain data.
//!
//! What can be decided about a paged program without asking the kernel lives here: which area an address
//! belongs to, what a page table entry says, which page goes next when the cap is reached, which swap slot is
//! free, what an ELF file wants mapped, which memory a system call will touch. No I/O, no clock, no `unsafe`;
//! `pager-runtime` acts on the decisions inside the program's threads.
//!
//! The crate is `no_std`, because the runtime that uses it has no C library below it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod addr;
pub mod area;
pub mod calls;
pub mod elf;
pub mod entry;
pub mod fault;
pub mod hearing;
pub mod inquiry;
pub mod pool;
pub mod rank;
pub mod remote;
pub mod replacement;
pub mod roster;
pub mod seccomp;
pub mod shared;
pub mod simulator;
pub mod slots;
pub mod table;
pub mod text;
pub mod trace;
