//! The traced side: PTRACE_TRACEME, and what a process executes that somebody traces.
//!
//! From PTRACE_TRACEME on every signal stops a thread, the runtime's own too, and who asked to be traced
//! mostly goes on to exec without its parent waiting (a vfork child's cannot). So the request is kept, and
//! made when it would show: right before exec, and before a signal that the thread sends to itself. What a
//! traced process executes runs natively (`docs/decisions/0008-what-a-debugger-sees.md`).

use crate::control;
use crate::die::Line;
use crate::memory::limits;
use crate::slot;
use crate::sys::file::{self, O_CLOEXEC, O_RDONLY};
use crate::sys::signal::{self, SigInfo, SignalSet};
use crate::sys::{Errno, call, nr, task};
use crate::thread::Block;

const PTRACE_TRACEME: u64 = 0;
const KILL: u64 = 62;
const RT_SIGQUEUEINFO: u64 = 129;
const TKILL: u64 = 200;
/// Longer than the status of a thread that nobody traces is up to its tracer's number.
const STATUS_HEAD: usize = 1024;

/// PTRACE_TRACEME.
///
/// # Errors
/// EPERM for who is traced or has asked already, and for the run's first process: its parent is the
/// supervisor, which traces nothing.
pub fn ask(block: &'static Block) -> Result<u64, Errno> {
    let supervisor = control::settings().supervisor.load(core::sync::atomic::Ordering::Relaxed);
    if slot::is_first() || task::parent() == supervisor || is_traced(block) {
        return Err(Errno::EPERM);
    }
    control::note_tracing();
    block.own().trace_due = true;
    Ok(0)
}

/// Makes the request that was kept, if there is one.
pub fn begin(block: &'static Block) {
    if core::mem::take(&mut block.own().trace_due) {
        let _ = call!(nr::PTRACE, PTRACE_TRACEME, 0, 0, 0);
    }
}

/// Before a call of a thread whose request is kept: a signal to itself is what its parent waits for.
pub fn before_call(block: &'static Block, number: u64, args: &[u64; 6]) {
    let [first, second, ..] = args.map(|arg| arg as u32);
    let own_thread = || block.own().tid;
    let is_to_itself = match number {
        KILL | RT_SIGQUEUEINFO => first == task::pid(),
        TKILL => first == own_thread(),
        nr::TGKILL | nr::RT_TGSIGQUEUEINFO => second == own_thread(),
        _ => false,
    };
    if is_to_itself {
        begin(block);
    }
}

/// Whether this thread has a tracer, or is about to have one. Looked up where some process of the run has
/// traced another.
pub fn is_traced(block: &'static Block) -> bool {
    block.own().trace_due || control::is_tracing() && tracer() != Ok(0)
}

/// The process that traces this thread; 0 where nobody does.
fn tracer() -> Result<u32, Errno> {
    let path = Line::format(format_args!("/proc/thread-self/status\0"));
    let fd = limits::with_descriptors(|| file::open(path.as_bytes(), O_RDONLY | O_CLOEXEC))?;
    let mut head = [0u8; STATUS_HEAD];
    let got = file::read(fd, &mut head);
    file::close(fd);
    let key = b"TracerPid:\t";
    let line = head[..got?].split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key));
    let number =
        line.and_then(|digits| core::str::from_utf8(digits).ok()).and_then(|digits| digits.parse().ok());
    number.ok_or(Errno::ENOENT)
}

/// Has the tracer see a fault of the program's as the kernel shows one: with the program's registers, before
/// anything is done about it. The signal is sent once more, and comes when the thread goes back to the
/// program. Returns whether that will be; not where nobody traces.
pub fn shows(block: &'static Block, info: &SigInfo) -> bool {
    if !is_traced(block) {
        return false;
    }
    begin(block);
    let number = info.signo as u32;
    let before = signal::mask();
    signal::block(SignalSet::of(number));
    let sent = signal::queue_to_thread(task::pid(), block.own().tid, &info.shown()).is_ok();
    if !sent {
        signal::set_mask(before);
    }
    sent
}
