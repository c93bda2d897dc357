//! The operating system as the runtime sees it: raw calls, kernel structures, one file per part.
//!
//! Nothing here knows of areas, pages or programs. Every call is made with the `syscall` instruction from the
//! runtime's own text, so it is never trapped; results are `Result<u64, Errno>`.

pub mod file;
pub mod futex;
pub mod memory;
pub mod signal;
pub mod socket;
pub mod task;
pub mod uffd;

use core::arch::asm;

/// A kernel error number (positive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

impl Errno {
    pub const EPERM: Errno = Errno(1);
    pub const ENOENT: Errno = Errno(2);
    pub const ESRCH: Errno = Errno(3);
    pub const EINTR: Errno = Errno(4);
    pub const EIO: Errno = Errno(5);
    pub const E2BIG: Errno = Errno(7);
    pub const ENOEXEC: Errno = Errno(8);
    pub const EBADF: Errno = Errno(9);
    pub const EAGAIN: Errno = Errno(11);
    pub const ENOMEM: Errno = Errno(12);
    pub const EACCES: Errno = Errno(13);
    pub const EFAULT: Errno = Errno(14);
    pub const EBUSY: Errno = Errno(16);
    pub const EEXIST: Errno = Errno(17);
    pub const ENODEV: Errno = Errno(19);
    pub const EINVAL: Errno = Errno(22);
    pub const EMFILE: Errno = Errno(24);
    pub const ETXTBSY: Errno = Errno(26);
    pub const ENOSYS: Errno = Errno(38);
    pub const ELOOP: Errno = Errno(40);
    pub const ENAMETOOLONG: Errno = Errno(36);
    pub const ELIBBAD: Errno = Errno(80);
    pub const EOPNOTSUPP: Errno = Errno(95);
    /// The kernel's own "make this call again, or EINTR if a handler without SA_RESTART runs first"; never
    /// seen by programs.
    pub const ERESTARTSYS: Errno = Errno(512);
    /// The kernel's own "make this call again, whatever runs first"; never seen by programs.
    pub const ERESTARTNOINTR: Errno = Errno(513);

    /// The value a failing call leaves in `rax`.
    pub fn as_return(self) -> u64 {
        (-i64::from(self.0)) as u64
    }
}

/// Splits a raw return value.
pub fn check(raw: i64) -> Result<u64, Errno> {
    if (-4095..0).contains(&raw) { Err(Errno(-raw as i32)) } else { Ok(raw as u64) }
}

/// Joins a result to what belongs into `rax`.
pub fn as_return(result: Result<u64, Errno>) -> u64 {
    match result {
        Ok(value) => value,
        Err(errno) => errno.as_return(),
    }
}

/// Makes a system call.
///
/// # Safety
/// 1. The call must not break Rust's view of the runtime's own memory (unmap it, write to what is borrowed).
#[inline(always)]
pub unsafe fn syscall(number: u64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: 1, by the caller; the clobbers are the kernel's contract for x86-64.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as i64 => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A checked [`syscall`] with up to six arguments.
macro_rules! call {
    ($number:expr $(, $arg:expr)* $(,)?) => {{
        let mut args = [0u64; 6];
        let given: &[u64] = &[$($arg as u64),*];
        args[..given.len()].copy_from_slice(given);
        // SAFETY: each use in `sys` passes pointers to live memory of the right size.
        $crate::sys::check(unsafe { $crate::sys::syscall($number as u64, args) })
    }};
}
pub(crate) use call;

/// System call numbers that the runtime makes or treats apart.
pub mod nr {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const OPEN: u64 = 2;
    pub const CLOSE: u64 = 3;
    pub const FSTAT: u64 = 5;
    pub const MMAP: u64 = 9;
    pub const MPROTECT: u64 = 10;
    pub const MUNMAP: u64 = 11;
    pub const RT_SIGACTION: u64 = 13;
    pub const RT_SIGPROCMASK: u64 = 14;
    pub const RT_SIGQUEUEINFO: u64 = 129;
    pub const RT_SIGTIMEDWAIT: u64 = 128;
    pub const IOCTL: u64 = 16;
    pub const PREAD64: u64 = 17;
    pub const PWRITE64: u64 = 18;
    pub const SCHED_YIELD: u64 = 24;
    pub const MREMAP: u64 = 25;
    pub const MADVISE: u64 = 28;
    pub const NANOSLEEP: u64 = 35;
    pub const GETPID: u64 = 39;
    pub const FTRUNCATE: u64 = 77;
    pub const PTRACE: u64 = 101;
    pub const GETPPID: u64 = 110;
    pub const CLONE: u64 = 56;
    pub const EXIT: u64 = 60;
    pub const EXIT_GROUP: u64 = 231;
    pub const FCNTL: u64 = 72;
    pub const SIGALTSTACK: u64 = 131;
    pub const PERSONALITY: u64 = 135;
    pub const PRCTL: u64 = 157;
    pub const GETTID: u64 = 186;
    pub const FUTEX: u64 = 202;
    pub const TGKILL: u64 = 234;
    pub const WAIT4: u64 = 61;
    pub const WAITID: u64 = 247;
    pub const OPENAT: u64 = 257;
    pub const READLINKAT: u64 = 267;
    pub const RT_TGSIGQUEUEINFO: u64 = 297;
    pub const PRLIMIT64: u64 = 302;
    pub const GETRANDOM: u64 = 318;
    pub const EXECVE: u64 = 59;
    pub const EXECVEAT: u64 = 322;
    pub const USERFAULTFD: u64 = 323;
    pub const PKEY_MPROTECT: u64 = 329;
    pub const STATX: u64 = 332;
    pub const PROCESS_MADVISE: u64 = 440;
    pub const CLOCK_GETTIME: u64 = 228;
}
