//! Signals: every one arrives on the thread's block; the program sees frames that are made by hand on its own stacks.
//!
//! The kernel's masks and stacks belong to the runtime, the program's are virtual: SEGV, BUS and SYS are never blocked for the kernel, default and
//! ignored actions are the kernel's own, and handlers are reached through [`arrive`].

mod across_exec;
mod actions;
pub mod arrive;
pub mod calls;
mod end;
pub mod frame;
pub mod held;
mod vsyscall;

pub use across_exec::{Next, hand_on};
pub use actions::{Actions, PROCESS};
pub use arrive::deliver_queued;
pub use end::die_of;

use crate::control;
use crate::sys::Errno;
use crate::sys::signal::{self, Action, SIGBUS, SIGSEGV, SIGSYS, SigInfo, SignalSet};
use crate::thread::Block;

/// Whether a signal is the supervisor's request to keep to the cap; it is taken note of.
pub fn take_poke(info: &SigInfo) -> bool {
    let may_be = info.says_poke() || (info.signo as u32 == SIGSEGV && info.is_bare());
    may_be && (control::process().take_poke() || info.says_poke())
}

/// Puts this thread's signals in the runtime's hands: its alternate stack.
///
/// # Errors
/// What sigaltstack says.
pub fn enter_thread(block: &'static Block) -> Result<(), Errno> {
    signal::set_alternate_stack(&block.signal_stack())
}

/// Sets the handlers that the runtime lives by. Once for the process.
///
/// # Errors
/// What sigaction says.
pub fn install_own() -> Result<(), Errno> {
    let blocked = SignalSet::ASYNCHRONOUS;
    signal::action(SIGSEGV, Some(&arrive::kernel_action(arrive::on_fault, blocked, signal::SA_NODEFER)), None)?;
    signal::action(SIGBUS, Some(&arrive::kernel_action(arrive::on_fault, blocked, signal::SA_NODEFER)), None)?;
    // Calls are made with the program's own mask, so that the blocking ones among them can be interrupted.
    let open = SignalSet::default();
    signal::action(SIGSYS, Some(&arrive::kernel_action(arrive::on_call, open, signal::SA_NODEFER)), None)
}

/// What the kernel is told for a signal with the program's `action`: its own default, to ignore it, or our way in.
pub fn kernel_side(action: &Action) -> Action {
    match action.handler {
        signal::SIG_DFL | signal::SIG_IGN => {
            Action { handler: action.handler, flags: kept_flags(action), ..Action::default() }
        }
        _ => arrive::kernel_action(arrive::on_asynchronous, SignalSet::ASYNCHRONOUS, kept_flags(action)),
    }
}

fn kept_flags(action: &Action) -> u64 {
    action.flags & (signal::SA_NOCLDSTOP | signal::SA_NOCLDWAIT)
}
