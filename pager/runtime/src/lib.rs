//! What runs inside the paged program's threads.
//!
//! The runtime is a freestanding image that `pager run` executes in place of a program. It loads the program
//! beside itself, traps its system calls, resolves its faults in the thread that faulted, and is never paged.
//! No C library, no thread-local storage, no stack or heap of the program's.
//!
//! | module | owns |
//! |---|---|
//! | [`start`], [`load`] | from exec to the program's first instruction |
//! | [`gate`], [`vectors`] | the assembly |
//! | [`signals`] | where faults, calls and signals arrive; the program's frames |
//! | [`touch`], [`paging`], [`host`], [`server`] | the life of a page, by `pager_engine` |
//! | [`busy`], [`engine`], [`markers`] | who has a page, and how an absent one makes itself known |
//! | [`calls`], [`memory`], [`process`] | the program's system calls |
//! | [`remote`] | accesses to the memory of other processes of the run, and to its own by way of the kernel |
//! | [`sandbox`] | the program's seccomp filters |
//! | [`record`] | what happens to pages, told to the supervisor |
//! | [`lifeline`] | the end of a process that nobody supervises any more |
//! | [`control`], [`slot`], [`row`], [`credit`], [`residency`] | this process's part of the run |
//! | [`space`], [`images`], [`program`], [`swap`], [`thread`] | what is known of the program |
//! | [`sys`], [`arena`], [`lock`], [`buffers`], [`user`], [`window`], [`keys`], [`clock`], [`die`] | what all of it stands on |
#![no_std]
// Internal to this project: every item is public for the image's sake, and each module's head says what it
// promises.
#![allow(missing_docs)]

extern crate alloc;

pub mod arena;
pub mod buffers;
pub mod busy;
pub mod call;
pub mod calls;
pub mod clock;
pub mod control;
pub mod credit;
pub mod die;
pub mod engine;
pub mod gate;
pub mod host;
pub mod images;
pub mod keys;
pub mod lifeline;
pub mod load;
pub mod lock;
pub mod markers;
pub mod memory;
pub mod own_descriptors;
pub mod paging;
pub mod process;
pub mod program;
pub mod record;
pub mod remote;
pub mod residency;
pub mod root;
pub mod row;
pub mod sandbox;
pub mod server;
pub mod signals;
pub mod slot;
pub mod space;
pub mod start;
pub mod swap;
pub mod sys;
pub mod thread;
pub mod touch;
pub mod user;
pub mod vectors;
pub mod window;
