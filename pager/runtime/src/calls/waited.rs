//! What waits of the program's tell of its children: how each ended, for the report.

use pager_core::roster::End;

use crate::call::Call;
use crate::control;
use crate::slot;
use crate::sys::Errno;
use crate::user;

/// Learns from a wait of the program's how its child ended.
pub fn note(call: &Call, result: Result<u64, Errno>) {
    let ended = match (call.row.number, result) {
        (WAIT4, Ok(pid)) if pid != 0 => told_by_wait4(pid as u32, call.args[1]),
        (WAITID, Ok(_)) => told_by_waitid(call.args[2]),
        _ => return,
    };
    if let Some((pid, end)) = ended
        && end != End::None
        && let Some(row) = control::roster().of(pid, slot::space())
    {
        row.note_end(end);
    }
}

fn told_by_wait4(pid: u32, status: u64) -> Option<(u32, End)> {
    match status {
        0 => Some((pid, End::Unseen)),
        at => Some((pid, End::from_wait_status(user::read_value::<u32>(at).ok()?))),
    }
}

/// siginfo of SIGCHLD: number, errno, code, padding, process, user, status.
fn told_by_waitid(info: u64) -> Option<(u32, End)> {
    const CLD_EXITED: u32 = 1;
    const CLD_KILLED: u32 = 2;
    const CLD_DUMPED: u32 = 3;
    if info == 0 {
        return None;
    }
    let word = |at: u64| user::read_value::<u32>(info + at).ok();
    let (pid, status) = (word(16)?, word(24)?);
    let end = match word(8)? {
        CLD_EXITED => End::Code(status as u8),
        CLD_KILLED | CLD_DUMPED => End::Signal(status as u8),
        _ => End::None,
    };
    Some((pid, end))
}

const WAIT4: u32 = 61;

const WAITID: u32 = 247;
