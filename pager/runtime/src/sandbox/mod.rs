//! Seccomp for the program: its filters are kept and run here, because the kernel would apply them to the
//! runtime's own calls.
//!
//! Owned: which thread has which filters ([`Sandbox`], in the thread's block), how they are installed
//! (`install`), what is done about a call (`admit`), how the next program gets them (`succession`), and what
//! of it `/proc` shows ([`status`]). What a filter means is [`pager_core::seccomp`]'s. Not here: any
//! protection of the runtime from the program; `docs/NOT_A_SANDBOX.md` says what that means for filters.

mod admit;
mod chain;
mod install;
mod kin;
pub mod status;
mod succession;

pub use admit::{Admission, admit};
pub use chain::Sandbox;
pub use install::{prctl, seccomp};
pub use kin::{Lineage, inherit};
pub use succession::{adopt, give_to_kernel, hand_over};
