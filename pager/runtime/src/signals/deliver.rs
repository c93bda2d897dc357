//! Handing kept signals to the program once it does not block them any more, and dropping those without an
//! effect.

use super::frame;
use super::held::{pending, take};
use crate::sys::signal::{self, SIGFPE, SIGILL, SIGTRAP, SignalSet, UContext};
use crate::thread::Block;

/// Delivers what is not blocked any more. A handler that is entered may block the next one.
///
/// The kernel's order: what an instruction may raise comes first, by numbers. So three that the kernel holds
/// come before or between those kept here; for the kernel they are blocked until the context is resumed.
pub fn deliver(block: &'static Block, context: &mut UContext) {
    loop {
        let open = SignalSet(!block.own().mask.0);
        let Some(first) = pending(block).intersection(open).first() else { return };
        let before = KERNEL_FIRST.intersection(open).below(first);
        if let Some(info) = signal::take_pending(before).or_else(|| take(block, SignalSet::of(first))) {
            frame::deliver(block, context, &info);
        }
    }
}

/// What the kernel delivers before other signals, without those that are kept here.
const KERNEL_FIRST: SignalSet = SignalSet::of(SIGILL).with(SIGTRAP).with(SIGFPE);

/// Takes out of the inbox what reaches no handler, for which no call ends; whether there was anything, and
/// nothing else is left.
pub fn absorb(block: &'static Block) -> bool {
    let mut any = false;
    while let Some(info) = block.inbox.take_if(|info| frame::is_without_effect(block, info)) {
        frame::keep_if_blocked(block, &info);
        any = true;
    }
    let alone = any && block.inbox.is_empty();
    if alone {
        // The arrival had closed it.
        signal::set_mask(block.own().mask.for_kernel());
    }
    alone
}
