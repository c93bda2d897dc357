//! The program's signal actions, as sigaction(2) set them.

use crate::lock::{Mutex, Rank, RawMutex};
use crate::sys::Errno;
use crate::sys::signal::{self, Action, SIGNALS, SignalSet};

/// One action for each signal; shared by the threads of a process.
pub struct Actions(Mutex<[Action; SIGNALS as usize]>);

/// The process's table. A vfork child has a copy of its own.
pub static PROCESS: Actions = Actions(Mutex::new(Rank::Actions, [EMPTY; SIGNALS as usize]));

const EMPTY: Action = Action { handler: 0, flags: 0, restorer: 0, mask: SignalSet(0) };

impl Actions {
    /// The action of a signal (1 to 64).
    pub fn of(&self, signal: u32) -> Action {
        self.0.lock()[signal as usize - 1]
    }

    /// Sets an action; the one before.
    pub fn replace(&self, signal: u32, action: Action) -> Action {
        core::mem::replace(&mut self.0.lock()[signal as usize - 1], action)
    }

    /// The same actions, for a process of its own.
    pub fn copy(&self) -> Actions {
        Actions(Mutex::new(Rank::Actions, *self.0.lock()))
    }

    /// The lock, to be held across a fork.
    pub fn lock_word(&self) -> &RawMutex {
        self.0.raw()
    }

    /// Takes over what the process inherited: ignored signals stay ignored across exec. For those of `more`
    /// the kernel had another action.
    pub fn inherit(&self, more: SignalSet) {
        for number in 1..=SIGNALS {
            let mut action = EMPTY;
            let mut is_ignored = || {
                signal::action(number, None, Some(&mut action)) == Ok(()) && action.handler == signal::SIG_IGN
            };
            if more.has(number) || is_ignored() {
                self.replace(number, Action { handler: signal::SIG_IGN, ..EMPTY });
            }
        }
    }

    /// What of `among` is ignored.
    pub fn ignored(&self, among: SignalSet) -> SignalSet {
        let actions = self.0.lock();
        let is_ignored = |number: &u32| actions[*number as usize - 1].handler == signal::SIG_IGN;
        (1..=SIGNALS)
            .filter(|number| among.has(*number) && is_ignored(number))
            .fold(SignalSet::default(), SignalSet::with)
    }
}

/// Whether a number names a signal whose action can be set.
///
/// # Errors
/// EINVAL otherwise.
pub fn settable(number: u64) -> Result<u32, Errno> {
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    if (1..=SIGNALS).contains(&number) { Ok(number) } else { Err(Errno::EINVAL) }
}

/// What the kernel is told where there is no handler: its own default, or to ignore the signal.
pub fn unhandled(action: &Action) -> Action {
    Action { handler: action.handler, flags: kept_flags(action), ..Action::default() }
}

/// The flags that the kernel has to know.
pub fn kept_flags(action: &Action) -> u64 {
    action.flags & (signal::SA_NOCLDSTOP | signal::SA_NOCLDWAIT)
}
