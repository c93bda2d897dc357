//! Threads and processes: clone in its three shapes, exec, exit.
//!
//! | flags | shape | what the child has |
//! |---|---|---|
//! | CLONE_VM and CLONE_THREAD | thread | a block of its own; everything else is shared |
//! | CLONE_VM alone (vfork, posix_spawn) | lodger | a block and signal actions of its own, in our memory until it executes or exits |
//! | no CLONE_VM | fork | a copy of everything; its own userfaultfd |

mod clone;
pub mod exec;
pub mod exit;
mod fork;
pub mod leave;
pub mod lookup;
mod request;
mod rest;
mod thread;
pub mod trace;

pub use clone::clone;
pub use request::Request;
pub use thread::{child_entry, spawn_server};
