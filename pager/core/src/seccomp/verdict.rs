//! What becomes of a call: the answers of all of a thread's filters, as one action.

/// What is done about a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// The process ends by SIGSYS.
    KillProcess,
    /// The thread ends.
    KillThread,
    /// The thread gets SIGSYS instead.
    Trap,
    /// The call fails with an errno.
    Errno,
    /// A process that listens decides.
    Notify,
    /// The tracer decides.
    Trace,
    /// The call is made, and noted.
    Log,
    /// The call is made.
    Allow,
}

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;
const ACTION: u32 = 0xffff_0000;

/// The largest errno (MAX_ERRNO).
const LARGEST_ERRNO: u16 = 4095;

impl Action {
    /// The action that this value of `SECCOMP_RET_*` names, if the kernel knows it.
    pub const fn named(value: u32) -> Option<Action> {
        Some(match value {
            KILL_PROCESS => Action::KillProcess,
            KILL_THREAD => Action::KillThread,
            TRAP => Action::Trap,
            ERRNO => Action::Errno,
            NOTIFY => Action::Notify,
            TRACE => Action::Trace,
            LOG => Action::Log,
            ALLOW => Action::Allow,
            _ => return None,
        })
    }
}

/// An action and the 16 bits that came with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What is done.
    pub action: Action,
    /// The answer's lower half.
    pub data: u16,
}

impl Verdict {
    /// Combines what filters answered, the newest first: the least answer counts, as a signed number without
    /// its data; of equal ones the newest. A value that names no action ends the process.
    pub fn of(answers: impl IntoIterator<Item = u32>) -> Verdict {
        let rank = |answer: u32| (answer & ACTION) as i32;
        let least = answers
            .into_iter()
            .fold(ALLOW, |least, next| if rank(next) < rank(least) { next } else { least });
        let action = Action::named(least & ACTION).unwrap_or(Action::KillProcess);
        Verdict { action, data: least as u16 }
    }

    /// Whether the call is made.
    pub const fn admits(&self) -> bool {
        matches!(self.action, Action::Allow | Action::Log)
    }

    /// The errno that an [`Action::Errno`] stands for; zero is success with a result of zero.
    pub fn errno(&self) -> u16 {
        self.data.min(LARGEST_ERRNO)
    }
}
