//! The signal calls of the program: sigaction, sigprocmask, sigaltstack and their kin.

use super::{actions, kernel_side};
use super::{frame, held};
use crate::sys::Errno;
use crate::sys::signal::{self, Action, AltStack, SIGKILL, SIGSTOP, SignalSet, UContext};
use crate::thread::Block;
use crate::user;

/// rt_sigaction.
///
/// # Errors
/// As sigaction(2).
pub fn sigaction(block: &'static Block, number: u64, new: u64, old: u64, size: u64) -> Result<u64, Errno> {
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let number = actions::settable(number)?;
    let table = block.own().actions();
    let wanted: Option<Action> = if new == 0 { None } else { Some(user::read_value(new)?) };
    if wanted.is_some() && (number == SIGKILL || number == SIGSTOP) {
        return Err(Errno::EINVAL);
    }
    let before = match wanted {
        None => table.of(number),
        Some(action) => {
            let (flags, mask) = (action.flags & signal::SA_KNOWN, action.mask.minus(SignalSet::UNBLOCKABLE));
            let action = Action { flags, mask, ..action };
            let before = table.replace(number, action);
            if !SignalSet::OURS.has(number) {
                signal::action(number, Some(&kernel_side(&action)), None)?;
            } else if action.handler == signal::SIG_IGN {
                held::discard(block, number);
            }
            before
        }
    };
    if old != 0 {
        user::write_value(old, &before)?;
    }
    Ok(0)
}

/// rt_sigprocmask.
///
/// # Errors
/// As sigprocmask(2).
pub fn sigprocmask(
    block: &'static Block,
    context: &mut UContext,
    [how, new, old, size]: [u64; 4],
) -> Result<u64, Errno> {
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let before = block.own().mask;
    if new != 0 {
        let set: SignalSet = user::read_value(new)?;
        let mask = match how {
            0 => before.union(set),
            1 => before.minus(set),
            2 => set,
            _ => return Err(Errno::EINVAL),
        };
        frame::set_mask(block, context, mask.minus(SignalSet::UNBLOCKABLE));
    }
    if old != 0 {
        user::write_value(old, &before)?;
    }
    Ok(0)
}

/// sigaltstack.
///
/// # Errors
/// As sigaltstack(2).
pub fn sigaltstack(block: &'static Block, context: &UContext, new: u64, old: u64) -> Result<u64, Errno> {
    let own = block.own();
    let before = own.alternate;
    let on_it =
        before.flags & (signal::SS_DISABLE | signal::SS_AUTODISARM) == 0 && before.holds(context.machine.rsp);
    if new != 0 {
        let wanted: AltStack = user::read_value(new)?;
        if on_it {
            return Err(Errno::EPERM);
        }
        own.alternate = wanted.checked()?;
    }
    if old != 0 {
        let mut shown = before;
        if on_it {
            shown.flags |= signal::SS_ONSTACK;
        }
        user::write_value(old, &AltStack { pad: 0, ..shown })?;
    }
    Ok(0)
}
