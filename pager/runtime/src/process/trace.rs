//! ptrace: its requests. What a tracer does not see is [`stops`]'s, the traced side is [`tracee`]'s.
//!
//! A thread can be stopped between any two instructions, also where it has made pages busy or taken a lock;
//! nobody would get those back while it stands. Where the tracer is itself paged in the same memory (the leak
//! checker of a sanitizer is: a lodger), it would wait for them for ever. So a stop is asked for while the
//! process is at rest, which it stays until the thread stands.

pub mod stops;
pub mod tracee;

use super::rest::{self, Rest};
use crate::call::{self, Call};
use crate::calls;
use crate::control;
use crate::remote;
use crate::server;
use crate::sys::{Errno, nr, task};
use crate::thread::Block;
use crate::user;

/// Requests that stop a thread by themselves.
const PTRACE_ATTACH: u32 = 16;
const PTRACE_INTERRUPT: u32 = 0x4207;
const PTRACE_SEIZE: u32 = 0x4206;
const PTRACE_TRACEME: u32 = 0;
const PTRACE_PEEKTEXT: u32 = 1;
const PTRACE_PEEKDATA: u32 = 2;
const PTRACE_CONT: u32 = 7;
const PTRACE_SINGLESTEP: u32 = 9;
const PTRACE_SYSCALL: u32 = 24;
const PTRACE_SYSEMU: u32 = 31;
const PTRACE_SYSEMU_SINGLESTEP: u32 = 32;
const PTRACE_SINGLEBLOCK: u32 = 33;

/// How long the process is kept at rest for a thread that does not stop, in nanoseconds. A thread that runs
/// stops at once. One inside a system call may not, but that holds no lock, and goes no further than the
/// call.
const PATIENCE: u64 = 100_000_000;
/// Between two looks, in nanoseconds.
const PAUSE: u64 = 20_000;

/// ptrace(2).
///
/// # Errors
/// As ptrace(2). EIO for a paged thread that is to be stepped, or whose calls are to be emulated: a step
/// would lead into the runtime at the next missing page, and the calls that the kernel sees are the
/// runtime's. ESRCH for the thread that resolves faults: the program has no such thread, and nobody could go
/// on if it stood.
pub fn ptrace(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let (request, target) = (call.args[0] as u32, call.args[1] as u32);
    match request {
        PTRACE_TRACEME => return tracee::ask(block),
        PTRACE_SINGLESTEP | PTRACE_SINGLEBLOCK | PTRACE_SYSEMU | PTRACE_SYSEMU_SINGLESTEP
            if stops::is_paged(target) =>
        {
            return Err(Errno::EIO);
        }
        PTRACE_PEEKTEXT | PTRACE_PEEKDATA => {
            let told = calls::perform(block, call);
            let word = if told == Err(Errno::EIO) { remote::peek(block, target, call.args[2]) } else { None };
            return word.map_or(told, |word| user::write_value(call.args[3], &word).map(|()| 0));
        }
        PTRACE_CONT | PTRACE_SYSCALL => stops::note_resumed(target, request.into()),
        PTRACE_ATTACH | PTRACE_SEIZE => control::note_tracing(),
        _ => {}
    }
    let stops = matches!(request, PTRACE_ATTACH | PTRACE_INTERRUPT);
    if (stops || request == PTRACE_SEIZE) && server::is(target) {
        return Err(Errno::ESRCH);
    }
    if !stops {
        return calls::perform(block, call);
    }
    let rest = Rest::come(block);
    let _heap = rest::still_heap(&rest);
    let result = call::raw(nr::PTRACE, call.args);
    if result.is_ok() {
        wait_until_stopped(target);
    }
    result
}

fn wait_until_stopped(tid: u32) {
    let deadline = task::now_ns() + PATIENCE;
    while task::has_stopped(tid).is_ok_and(|stopped| !stopped) && task::now_ns() < deadline {
        task::pause(PAUSE);
    }
}
