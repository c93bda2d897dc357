//! What the kernel is told: the runtime's own handlers, and the way in for the program's.

use super::actions::{kept_flags, unhandled};
use super::arrive;
use crate::sys::Errno;
use crate::sys::signal::{self, Action, SIGBUS, SIGSEGV, SIGSYS, SignalSet};
use crate::thread::Block;

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
    signal::action(
        SIGSEGV,
        Some(&arrive::kernel_action(arrive::on_fault, blocked, signal::SA_NODEFER)),
        None,
    )?;
    signal::action(
        SIGBUS,
        Some(&arrive::kernel_action(arrive::on_fault, blocked, signal::SA_NODEFER)),
        None,
    )?;
    // Calls are made with the program's own mask, so that the blocking ones among them can be interrupted.
    let open = SignalSet::default();
    signal::action(SIGSYS, Some(&arrive::kernel_action(arrive::on_call, open, signal::SA_NODEFER)), None)
}

/// What the kernel is told for a signal with the program's `action`: its own default, to ignore it, or our
/// way in.
pub fn kernel_side(action: &Action) -> Action {
    match action.handler {
        signal::SIG_DFL | signal::SIG_IGN => unhandled(action),
        _ => arrive::kernel_action(arrive::on_asynchronous, SignalSet::ASYNCHRONOUS, kept_flags(action)),
    }
}
