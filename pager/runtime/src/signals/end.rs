//! The end of the process by a signal, as the kernel would bring it about.

use pager_core::roster::End;
use pager_core::shared::FailureKind;

use crate::die;
use crate::gate;
use crate::process::exit;
use crate::process::leave::Leaving;
use crate::row;
use crate::slot;
use crate::sys::signal::{self, Action, SIGBUS, SIGSEGV, SIGSYS, SigInfo, SignalSet, UContext};
use crate::sys::task;
use crate::thread::Block;

/// The program has written over the runtime's memory: nothing can be said, and signals would nest for ever.
pub fn at_once() -> ! {
    loop {
        signal::kill_thread(task::pid(), task::tid(), signal::SIGKILL);
    }
}

/// Ends the process as the kernel would for a fault that the program does not handle.
pub fn die_of(info: &SigInfo, context: &UContext) -> ! {
    let number = info.signo as u32;
    let line = die::Line::format(format_args!(
        "signal {number} code {} at address {:#x}, instruction {:#x}",
        info.code,
        info.address(),
        context.machine.rip
    ));
    // An end by a seccomp filter is what the program asked for. Of what somebody sent, and of the end of
    // other processes, a user of the program learns as natively.
    let is_wished = number == SIGSYS && info.code == signal::SYS_SECCOMP;
    if [SIGSEGV, SIGBUS, SIGSYS].contains(&number) && !is_wished && !info.is_sent() && slot::is_first() {
        die::report(FailureKind::Fault, info.address(), line.as_bytes());
    }
    exit::let_go(Block::current());
    exit::ready_robust(Block::current());
    Leaving::take().release();
    end_by(info)
}

/// The program jumped into the runtime's code, and it faulted there: a lock may be held that nobody will
/// release, so nothing more is done.
pub fn jumped_in(info: &SigInfo, context: &UContext) -> ! {
    let line =
        die::Line::format(format_args!("it jumped into the pager's code, to {:#x}", context.machine.rip));
    die::report(FailureKind::Fault, info.address(), line.as_bytes());
    end_by(info)
}

/// Ends the process by the kernel's default action for a signal.
fn end_by(info: &SigInfo) -> ! {
    let number = info.signo as u32;
    row::note_own_end(End::Signal(number as u8));
    let action = Action::default();
    let _ = signal::action(number, Some(&action), None);
    // Another one that is pending must not come first.
    signal::set_mask(SignalSet(!SignalSet::of(number).0));
    loop {
        let _ = signal::queue_to_thread(
            task::pid(),
            task::tid(),
            &SigInfo { code: signal::SI_TKILL, ..*info }.last(),
        );
        signal::kill_thread(task::pid(), task::tid(), number);
        // The first process of a PID namespace goes on: it dies only of what its own instructions raise.
        raise(number);
    }
}

/// Has the processor raise a signal.
fn raise(number: u32) {
    match number {
        SIGBUS => gate::access_unaligned(),
        SIGSYS => {
            // From now on no call is allowed to be made from anywhere.
            let _ = task::dispatch_on(0..0);
            task::pid();
        }
        // SAFETY: user mode may not halt the processor: a general protection fault, after which nothing goes
        // on.
        _ => unsafe { core::arch::asm!("hlt", options(nomem, nostack)) },
    }
}
