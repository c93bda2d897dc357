//! The tracing side: stops of a paged process that are the pager's own are not shown to its tracer.
//!
//! A paged thread gets a signal for each missing page and each system call, and a traced one stops for each.
//! The tracer's waits (which are calls of a paged process) look at a stop before the program sees it: the
//! pager's own is passed on, with the signal, by the request that the program resumed the thread with, and
//! the wait goes on. Whether a thread is paged is asked of the kernel: paged ones have their calls
//! dispatched.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::call::{self, Call};
use crate::calls::make;
use crate::calls::perform;
use crate::control;
use crate::sys::signal::{self, SIGBUS, SIGSEGV, SIGSYS, SigInfo};
use crate::sys::{Errno, call, nr};
use crate::thread::Block;
use crate::user;

const WNOHANG: u64 = 1;
pub const PTRACE_CONT: u64 = 7;
pub const PTRACE_SYSCALL: u64 = 24;
const PTRACE_GETSIGINFO: u64 = 0x4202;
const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: u64 = 0x4211;
/// The state of a child that stopped for its tracer, as waitid says it.
const CLD_TRAPPED: u32 = 4;
/// `si_code`, `si_pid` and `si_status` in a `siginfo_t` of 32-bit words.
const INFO_WORDS: usize = 32;
const CODE: usize = 2;
const PID: usize = 4;
const STATUS: usize = 6;

/// A thread that a wait told of, stopped by a signal.
#[derive(Clone, Copy)]
struct Stop {
    thread: u32,
    signal: u32,
}

/// wait4 and waitid, where some process of the run traces another.
///
/// # Errors
/// As the calls.
pub fn wait(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let is_wait4 = u64::from(call.row.number) == nr::WAIT4;
    let (place, options) = if is_wait4 { (1, call.args[2]) } else { (2, call.args[3]) };
    let mut own = [0u32; INFO_WORDS];
    // Where the program does not want to know, this still has to.
    let is_blind = call.args[place] == 0;
    // A wait that finds nothing leaves the status as it was.
    let keeps = is_wait4 && !is_blind && options & WNOHANG != 0;
    let before = if keeps { user::read_value::<u32>(call.args[1]).ok() } else { None };
    loop {
        let result = if is_blind {
            let mut call = call;
            call.args[place] = own.as_mut_ptr() as u64;
            make::make(block, call, make::Interruption::AsUsual)
        } else {
            perform(block, call)
        }?;
        let told = |word: usize| {
            if is_blind { Ok(own[word]) } else { user::read_value(call.args[place] + word as u64 * 4) }
        };
        let stop = if is_wait4 { of_status(result, told(0)) } else { of_info(told) };
        match stop {
            Some(stop) if is_own(stop) => pass_on(stop),
            _ => return Ok(result),
        }
        if let Some(before) = before {
            user::write_value(call.args[1], &before)?;
        }
    }
}

fn of_status(thread: u64, status: Result<u32, Errno>) -> Option<Stop> {
    const STOPPED: u32 = 0x7f;
    let status = status.ok()?;
    // Events of ptrace are told above the signal.
    (thread != 0 && status & 0xff == STOPPED).then_some(Stop { thread: thread as u32, signal: status >> 8 })
}

fn of_info(told: impl Fn(usize) -> Result<u32, Errno>) -> Option<Stop> {
    let (code, thread, signal) = (told(CODE).ok()?, told(PID).ok()?, told(STATUS).ok()?);
    (thread != 0 && code == CLD_TRAPPED).then_some(Stop { thread, signal })
}

/// Whether the thread stopped by a signal of the pager's.
fn is_own(stop: Stop) -> bool {
    if ![SIGSEGV, SIGBUS, SIGSYS].contains(&stop.signal) {
        return false;
    }
    let mut info = SigInfo::ZERO;
    if call!(nr::PTRACE, PTRACE_GETSIGINFO, stop.thread, 0, &mut info as *mut SigInfo).is_err() {
        return false;
    }
    if info.says_poke() || info.is_last() {
        return true;
    }
    let made_here = match stop.signal {
        SIGSYS => info.code == signal::SYS_USER_DISPATCH,
        // Of the program's own faults the runtime tells the tracer once it knows them.
        _ => !info.is_sent() && !info.is_shown(),
    };
    made_here && is_paged(stop.thread)
}

/// Whether a stopped thread that this one traces is paged. Kernels before 6.4 do not tell of the dispatch:
/// there a process is known by its number.
pub fn is_paged(thread: u32) -> bool {
    let mut config = [0u64; 4];
    match call!(
        nr::PTRACE,
        PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG,
        thread,
        size_of_val(&config),
        config.as_mut_ptr()
    ) {
        Ok(_) => config[0] != 0,
        Err(Errno::ESRCH) => false,
        Err(_) => control::slots().any(|slot| slot.pid.load(Ordering::Relaxed) == thread),
    }
}

fn pass_on(stop: Stop) {
    let _ = call::raw(nr::PTRACE, [resumed_by(stop.thread), stop.thread.into(), 0, stop.signal.into(), 0, 0]);
}

const RESUMED: usize = 256;
/// By which request the program last resumed a thread, and which, by its number. One that is not here was
/// resumed by PTRACE_CONT: two threads whose numbers share a place may lose the stops at the runtime's system
/// calls, which are not the program's in any case.
static LAST: [AtomicU64; RESUMED] = [const { AtomicU64::new(0) }; RESUMED];

/// Notes by which request the program resumed a thread.
pub fn note_resumed(thread: u32, request: u64) {
    LAST[thread as usize % RESUMED].store(u64::from(thread) << 32 | request, Ordering::Relaxed);
}

fn resumed_by(thread: u32) -> u64 {
    let last = LAST[thread as usize % RESUMED].load(Ordering::Relaxed);
    if last >> 32 == u64::from(thread) { last & 0xffff_ffff } else { PTRACE_CONT }
}
