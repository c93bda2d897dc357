//! Signals: every one arrives on the thread's block; the program sees frames that are made by hand on its own
//! stacks.
//!
//! The kernel's masks and stacks belong to the runtime, the program's are virtual: SEGV, BUS and SYS are
//! never blocked for the kernel, default and ignored actions are the kernel's own, and handlers are reached
//! through [`arrive`].

mod across_exec;
mod actions;
pub mod arrive;
pub mod calls;
pub mod deliver;
mod end;
pub mod frame;
pub mod held;
mod install;
pub mod kept;
pub mod poke;
mod vsyscall;

pub use across_exec::{Next, hand_on};
pub use actions::{Actions, PROCESS};
pub use arrive::deliver_queued;
pub use end::die_of;
pub use install::{enter_thread, install_own, kernel_side};
