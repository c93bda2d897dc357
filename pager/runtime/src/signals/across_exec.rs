//! What exec leaves to the next image of SEGV, BUS and SYS: pending ones and the mask by way of the kernel,
//! which keeps both. That they are ignored a paged image learns from the run; for a native one the kernel has
//! to ignore them, which it can only where no other thread needs them.

use core::ptr::NonNull;

use super::held::{self, Loan};
use super::{PROCESS, install_own};
use crate::sys::signal::{self, Action, SIGBUS, SIGSEGV, SIGSYS, SignalSet};
use crate::thread::{self, Block, Kin};

/// What takes the program's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// An image of the run's.
    Paged,
    /// A program that knows nothing of the run.
    Native,
}

/// What was handed on for an exec, which may fail.
pub struct HandedOn {
    loan: Loan,
    ignored: SignalSet,
}

/// Hands the three on, right before exec. Until `HandedOn::take_back` the thread may not touch the program's
/// memory.
pub fn hand_on(block: &Block, next: Next) -> HandedOn {
    let loan = held::lend(block, SignalSet::default());
    let ignored = match next {
        Next::Native if has_own_actions(block) => block.own().actions().ignored(SignalSet::OURS),
        _ => SignalSet::default(),
    };
    let ignore = Action { handler: signal::SIG_IGN, ..Action::default() };
    for number in [SIGBUS, SIGSEGV, SIGSYS].into_iter().filter(|number| ignored.has(*number)) {
        let _ = signal::action(number, Some(&ignore), None);
    }
    HandedOn { loan, ignored }
}

/// Whether the kernel's actions of this thread are no other's.
fn has_own_actions(block: &Block) -> bool {
    let own = block.own();
    thread::is_alone() || (own.kin == Kin::Lodger && own.actions != NonNull::from(&PROCESS))
}

impl HandedOn {
    /// The image stays.
    pub fn take_back(self, block: &Block) {
        if self.ignored != SignalSet::default() {
            let _ = install_own();
        }
        held::take_back(block, self.loan);
    }
}
