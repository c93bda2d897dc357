//! Before a call of the program is made: what its filters say, and that done.

use pager_core::roster::End;
use pager_core::seccomp::{Action, Data, Verdict};

use super::chain::{FILTERED, STRICT, Sandbox};
use super::kin::is_only_thread;
use crate::die;
use crate::gate;
use crate::process::exit;
use crate::process::leave::Leaving;
use crate::process::trace::tracee;
use crate::row;
use crate::signals::{self, frame};
use crate::sys::signal::{self, SIGKILL, SIGSYS, SigInfo, UContext};
use crate::sys::{Errno, call, nr, task};
use crate::thread::Block;

use core::sync::atomic::Ordering;

const PR_SET_NO_NEW_PRIVS: u64 = 38;
/// What strict mode leaves: read, write, exit, rt_sigreturn.
const STRICT_CALLS: [u64; 4] = [0, 1, 60, 15];

/// Whether a call goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It is made.
    Granted,
    /// It is not, and the context is what the program goes on with.
    Settled,
}

/// Decides about the call in `context`, of a thread that is confined.
pub fn admit(block: &'static Block, context: &mut UContext, arch: u32, args: &[u64; 6]) -> Admission {
    pay_privileges(&block.sandbox);
    let number = context.machine.rax;
    match block.sandbox.mode.load(Ordering::Acquire) {
        FILTERED => {}
        STRICT if STRICT_CALLS.contains(&number) => return Admission::Granted,
        STRICT => end_strictly(block),
        _ => return Admission::Granted,
    }
    let data = Data { number: number as u32, arch, instruction_pointer: context.machine.rip, args: *args };
    let verdict = block.sandbox.judge(&data);
    match verdict.action {
        Action::Allow => Admission::Granted,
        Action::Log => {
            die::event!("system call {number} is allowed and noted by a seccomp filter");
            Admission::Granted
        }
        Action::Errno => settle(context, Errno(verdict.errno().into()).as_return()),
        // As where nobody listens, and nobody traces.
        Action::Notify | Action::Trace => settle(context, Errno::ENOSYS.as_return()),
        Action::Trap => {
            let info = report(&data, verdict);
            if !tracee::shows(block, &info) {
                frame::force(block, context, &info);
            }
            Admission::Settled
        }
        Action::KillThread if !is_only_thread(block) => {
            die::event!("system call {number} ends its thread, by a seccomp filter");
            exit::exit_thread(block, SIGSYS.into())
        }
        Action::KillThread | Action::KillProcess => {
            die::event!("system call {number} ends the process, by a seccomp filter");
            signals::die_of(&report(&data, verdict), context)
        }
    }
}

impl Sandbox {
    /// What all filters say together.
    pub(super) fn judge(&self, data: &Data) -> Verdict {
        Verdict::of(self.filters().map(|node| node.filter().run(data)))
    }
}

fn settle(context: &mut UContext, result: u64) -> Admission {
    context.machine.rax = result;
    gate::answered(context);
    Admission::Settled
}

/// The signal of a call that was trapped, as force_sig_seccomp makes it.
fn report(data: &Data, verdict: Verdict) -> SigInfo {
    let mut info = SigInfo { signo: SIGSYS as i32, code: signal::SYS_SECCOMP, ..SigInfo::ZERO };
    info.errno = verdict.data.into();
    info.fields[0] = data.instruction_pointer;
    info.fields[1] = u64::from(data.number) | u64::from(data.arch) << 32;
    info
}

/// Sets the flag that came with another thread's filters.
fn pay_privileges(sandbox: &Sandbox) {
    if sandbox.owes_privileges.load(Ordering::Relaxed) != 0
        && sandbox.owes_privileges.swap(0, Ordering::Relaxed) != 0
    {
        let _ = call!(nr::PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
}

/// Strict mode ends the thread as by SIGKILL.
fn end_strictly(block: &'static Block) -> ! {
    if !is_only_thread(block) {
        exit::exit_thread(block, SIGKILL.into());
    }
    Leaving::take().release();
    row::note_own_end(End::Signal(SIGKILL as u8));
    loop {
        signal::kill_thread(task::pid(), task::tid(), SIGKILL);
    }
}
