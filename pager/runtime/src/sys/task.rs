//! Processes and threads, the clock, and the few `prctl`s.

use super::{Errno, call, nr};

pub const CLONE_VM: u64 = 0x100;
pub const CLONE_FS: u64 = 0x200;
pub const CLONE_FILES: u64 = 0x400;
pub const CLONE_SIGHAND: u64 = 0x800;
pub const CLONE_VFORK: u64 = 0x4000;
pub const CLONE_THREAD: u64 = 0x1_0000;
pub const CLONE_SYSVSEM: u64 = 0x4_0000;
pub const CLONE_SETTLS: u64 = 0x8_0000;
pub const CLONE_PARENT_SETTID: u64 = 0x10_0000;
pub const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
pub const CLONE_CHILD_SETTID: u64 = 0x100_0000;
pub const CLONE_NEWUSER: u64 = 0x1000_0000;

const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
const PR_SYS_DISPATCH_ON: u64 = 1;
const PR_SET_PDEATHSIG: u64 = 1;
const PR_SET_NAME: u64 = 15;
const PR_SET_THP_DISABLE: u64 = 41;

/// The argument of PR_SET_TSC, and answer of PR_GET_TSC, that makes reads of the time stamp counter fault.
pub const PR_TSC_SIGSEGV: u32 = 2;

/// Traps every system call of this thread that is not made from `text`.
pub fn dispatch_on(text: core::ops::Range<u64>) -> Result<(), Errno> {
    call!(nr::PRCTL, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, text.start, text.end - text.start, 0)
        .map(drop)
}

/// Sets the thread's name; `name` must end in a zero byte.
pub fn set_name(name: &[u8]) {
    let _ = call!(nr::PRCTL, PR_SET_NAME, name.as_ptr());
}

/// Turns transparent huge pages off for this process and what it forks and executes.
pub fn disable_huge_pages() {
    let _ = call!(nr::PRCTL, PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

/// Turns them on again, for a program that is executed natively. Pages of ours do not become huge: they are
/// registered with userfaultfd.
pub fn allow_huge_pages() {
    let _ = call!(nr::PRCTL, PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

/// Whether this thread's reads of the time stamp counter fault.
pub fn is_counter_forbidden() -> bool {
    const PR_GET_TSC: u64 = 25;
    let mut how = 0u32;
    call!(nr::PRCTL, PR_GET_TSC, &raw mut how).is_ok() && how == PR_TSC_SIGSEGV
}

/// Has nothing be sent to this process when the thread that started it ends.
pub fn outlive_parent() {
    let _ = call!(nr::PRCTL, PR_SET_PDEATHSIG, 0);
}

pub fn pid() -> u32 {
    call!(nr::GETPID).unwrap_or(0) as u32
}

/// Whether this is the first process of its PID namespace, as it sees itself.
pub fn is_init() -> bool {
    pid() == 1
}

pub fn parent() -> u32 {
    call!(nr::GETPPID).unwrap_or(0) as u32
}

pub fn tid() -> u32 {
    call!(nr::GETTID).unwrap_or(0) as u32
}

/// Capabilities, by their bits.
pub const CAP_IPC_LOCK: u32 = 14;
pub const CAP_SYS_ADMIN: u32 = 21;
pub const CAP_SYS_RESOURCE: u32 = 24;
pub const CAP_CHECKPOINT_RESTORE: u32 = 40;
const CAPGET: u64 = 125;
const CAPABILITY_VERSION: u64 = 0x2008_0522;

/// Whether this thread has a capability.
pub fn is_capable(capability: u32) -> bool {
    let header = [CAPABILITY_VERSION];
    // Two of struct __user_cap_data_struct: effective, permitted, inheritable.
    let mut data = [0u32; 6];
    let (word, bit) = (capability as usize / 32 * 3, capability % 32);
    call!(CAPGET, header.as_ptr(), data.as_mut_ptr()).is_ok() && data[word] >> bit & 1 != 0
}

/// Ends the process with `code`.
pub fn exit_group(code: i32) -> ! {
    loop {
        let _ = call!(nr::EXIT_GROUP, code);
    }
}

/// The personality flags of this process.
pub fn personality() -> u64 {
    call!(nr::PERSONALITY, 0xffff_ffffu64).unwrap_or(0)
}

/// Fills `into` with random bytes; zeros stay where the kernel has none.
pub fn random(into: &mut [u8]) {
    let _ = call!(nr::GETRANDOM, into.as_mut_ptr(), into.len(), 0);
}

/// Nanoseconds of the monotonic clock.
pub fn now_ns() -> u64 {
    let mut time = [0u64; 2];
    let _ = call!(nr::CLOCK_GETTIME, 1, time.as_mut_ptr());
    time[0] * 1_000_000_000 + time[1]
}

/// Sleeps; a signal may end it early.
pub fn pause(ns: u64) {
    let time = [ns / 1_000_000_000, ns % 1_000_000_000];
    let _ = call!(nr::NANOSLEEP, time.as_ptr(), 0);
}

/// Lets others run.
pub fn give_way() {
    let _ = call!(nr::SCHED_YIELD);
}

/// Whether a thread that this one traces has stopped, and nobody has waited for that yet.
///
/// # Errors
/// What waitid says: ECHILD where it is not traced.
pub fn has_stopped(tid: u32) -> Result<bool, Errno> {
    const P_PID: u64 = 1;
    const WNOHANG: u64 = 1;
    const WSTOPPED: u64 = 2;
    const WEXITED: u64 = 4;
    const WNOWAIT: u64 = 0x0100_0000;
    const ANY_CHILD: u64 = 0x4000_0000;
    /// `siginfo_t`, as integers; where the pid is in it.
    const INTS: usize = 32;
    const PID: usize = 4;
    let mut info = [0u32; INTS];
    let options = WNOHANG | WSTOPPED | WEXITED | WNOWAIT | ANY_CHILD;
    call!(nr::WAITID, P_PID, tid, info.as_mut_ptr(), options, 0)?;
    Ok(info[PID] != 0)
}
