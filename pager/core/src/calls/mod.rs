//! The system-call table: what every x86-64 call of Linux 6.18 does with the memory that its caller points
//! at.
//!
//! The kernel does not fault pages of a userfaultfd area in on its own behalf (feature SIGBUS): it answers
//! EFAULT where a page is missing, or write-protected where it writes. So the calls of a paged program are
//! trapped, and before one is made the memory that the kernel will touch is made resident. This module owns
//! the knowledge of *which* memory that is, as data: one [`Row`] for each call ([`row`]), and [`buffers`],
//! which follows a row's pointers and nested structures and names each run of bytes as a [`Span`].
//!
//! It does not own what is done about it. Making pages resident, pinning them, calling the kernel,
//! restarting, emulating: all of that is the runtime's. Nothing here reads memory but through [`UserMemory`],
//! and nothing here decides an errno but [`refusal`] and [`Route::Refused`].
//!
//! Spans are promises about the kernel, not about the program: they may reach beyond what is mapped (a buffer
//! whose stated length is a lie, a structure of which only the start is there) and may ask for writing where
//! the program may only read. A caller makes resident what lies in its areas, lifts its own write protection
//! only where the area is writable, leaves the rest as it is and lets the kernel answer. It must never turn a
//! span into an error of its own.

mod bpf;
mod control;
mod descriptors;
mod expand;
mod futex;
mod ioctl;
mod ipc;
mod keys;
pub mod maps;
mod nested;
pub mod procfs;
mod ptrace;
mod refine;
mod table;
#[cfg(test)]
mod tests;
pub mod timeout;
pub mod transfer;

pub use descriptors::descriptors;
pub use expand::{MAX_SPANS, buffers, unknown_buffers};
pub use refine::{MaskArgument, blocking, refusal, signal_mask};
pub use table::{ROWS, row};

/// Which way bytes go between the program's memory and the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// The kernel reads: the pages must be resident.
    In,
    /// The kernel writes, perhaps only a part: the pages must be resident with their contents, and writable
    /// where their area is.
    Out,
    /// The kernel reads and writes, or which of the two it does is not known. To be treated as `Out`.
    InOut,
}

impl Direction {
    /// Whether the kernel may write, so that the pages have to be writable (and count as dirty).
    pub const fn writes(self) -> bool {
        !matches!(self, Direction::In)
    }
}

/// How long a buffer is, in bytes, told by the call's arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// Always this many bytes.
    Fixed(u32),
    /// The argument is the number of bytes, 64 bits wide.
    Arg(u8),
    /// As `Arg`, but the kernel never touches more than the number beside it.
    UpTo(u8, u32),
    /// The lower 32 bits of the argument (an `int` or `unsigned int`) are the number of bytes, and the kernel
    /// never touches more than the number beside it.
    Int(u8, u32),
    /// The argument is a number of elements of this many bytes.
    ArgTimes(u8, u32),
    /// The argument is a number of bytes, after a header of this many bytes.
    ArgPlus(u8, u32),
    /// The argument points at the number of bytes, an `u32` (a `socklen_t`).
    Pointed(u8),
    /// The argument is a number of bits, kept in 64-bit words.
    Bits(u8),
    /// The argument is a length in bytes, of which each page has one byte here (mincore).
    Pages(u8),
}

/// What a pointer argument points at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Plain bytes.
    Buffer(Direction, Length),
    /// A file name: ends with NUL, at most 4096 bytes with it.
    Path,
    /// Text that ends with NUL, at most so many bytes with it.
    Text(u32),
    /// An array of pointers to texts that ends with a null pointer (argv, envp).
    StringVector,
    /// An array of `iovec` and the memory that they name; the argument with this index counts them.
    IoVec(Direction, u8),
    /// An array of `iovec` of which the kernel does not touch the memory named; the argument with this index
    /// counts them.
    IoVecArray(u8),
    /// A `msghdr` with its name, control data and `iovec`s. Direction of the payload: `In` sends, `Out`
    /// receives.
    MsgHdr(Direction),
    /// An array of `mmsghdr`; the argument with this index counts them.
    MMsgHdr(Direction, u8),
    /// An `fd_set`; the argument with this index is `nfds`.
    FdSet(u8),
    /// A socket address to be written; the argument with this index points at its length (at most 128 bytes
    /// are written).
    SockAddrOut(u8),
    /// The value of `setsockopt`: level, option, value and length are arguments 1 to 4.
    SockOpt,
    /// The signal mask for the length of the call; the argument with this index is its size.
    Sigset(u8),
    /// A pointer to a signal mask for the length of the call, and its size (the sixth argument of pselect6).
    SigsetBox,
    /// A structure that tells its own size, an `u32` at this offset.
    Sized(Direction, u32),
    /// A `file_handle`, that tells its own size.
    FileHandle(Direction),
    /// The thread id that clone(2) stores in argument 2 or 3, where the flags ask for it.
    CloneTid,
    /// The data of capget and capset: how long depends on the version in the header at argument 0.
    CapData(Direction),
    /// A `sigevent`, with the cookie of `SIGEV_THREAD`.
    SigEvent,
    /// A `xattr_args` and the value that it names; the argument with this index is its size.
    XattrArgs(Direction, u8),
    /// The value of fsconfig, by the command in argument 1.
    FsConfig,
    /// An array of `kexec_segment`; the argument with this index counts them.
    KexecSegments(u8),
    /// An array of `futex_waitv`; the argument with this index counts them.
    FutexWaiters(u8),
    /// The two `futex_waitv` of futex_requeue.
    FutexRequeue,
    /// The futex word, the second word and the timeout of futex(2), by operation.
    Futex,
    /// The argument of ioctl(2), by request.
    Ioctl,
    /// The argument of fcntl(2), by command.
    Fcntl,
    /// The arguments of prctl(2), by option.
    Prctl,
    /// The second argument of arch_prctl(2), by code.
    ArchPrctl,
    /// The address and data of ptrace(2), by request.
    Ptrace,
    /// The arguments of keyctl(2), by operation.
    Keyctl,
    /// The attributes of bpf(2), by command.
    Bpf,
    /// The data of quotactl(2) and quotactl_fd(2), by the command in the argument with this index.
    Quotactl(u8),
    /// The structure of shmctl(2), by command.
    ShmCtl,
    /// The structure of msgctl(2), by command.
    MsgCtl,
    /// The structure or array of semctl(2), by command.
    SemCtl,
    /// The word of memory whose node get_mempolicy(2) is asked for, when it is.
    PolicyAddress,
    /// A string that the kernel may also take by length elsewhere, or binary data up to a page (the data of
    /// mount(2)).
    MountData,
}

/// A pointer among a call's arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pointer {
    /// Which argument it is, from 0. Null is allowed everywhere and is skipped.
    pub argument: u8,
    /// What it points at.
    pub shape: Shape,
}

/// A call that is about areas: done on the pager's own tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // each is the call of that name
pub enum Managed {
    Mmap,
    Munmap,
    Mremap,
    Mprotect,
    Madvise,
    Brk,
    Mlock,
    Munlock,
    Mlockall,
    Munlockall,
    Mlock2,
    Mincore,
    Msync,
    RemapFilePages,
    ProcessMadvise,
    PkeyMprotect,
    Shmat,
    Shmdt,
    Mseal,
    Mbind,
    SetMempolicyHomeNode,
}

/// A call whose effect on the thread, process or descriptors has to be seen or imitated by the pager.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // each is the call of that name
pub enum Virtual {
    Sigaction,
    Sigaltstack,
    Sigprocmask,
    Sigreturn,
    Sigsuspend,
    Sigpending,
    Sigtimedwait,
    Signalfd,
    Clone,
    Fork,
    Vfork,
    Execve,
    Execveat,
    Exit,
    ExitGroup,
    SetTidAddress,
    SetRobustList,
    GetRobustList,
    ArchPrctl,
    Prctl,
    Seccomp,
    Ptrace,
    Close,
    CloseRange,
    Dup2,
    Dup3,
    Readlink,
    Readlinkat,
    Open,
    Openat,
    Openat2,
    Getrlimit,
    Setrlimit,
    Prlimit,
}

/// Which way a call goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The kernel touches no memory for it: made as it is.
    Straight,
    /// The memory is made resident and pinned, then the call is made.
    Filled,
    /// The memory is made resident without a pin, the call is made, and made again where it answers EFAULT:
    /// these may wait for long, and an answer of EFAULT means that they have had no effect.
    Repeated,
    /// About areas: the pager's own.
    Managed(Managed),
    /// Virtualised. A runtime that has nothing to add to one of these makes it as `Filled`: the pointers are
    /// there.
    Virtual(Virtual),
    /// Answered with this (positive) errno, as a kernel built without it would, so that programs fall back.
    Refused(i32),
}

/// What a signal does to a call that waits, after signal(7) and the kernel's ERESTART codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Restart {
    /// ERESTARTSYS: made again after a handler with `SA_RESTART`, else EINTR.
    Restartable,
    /// EINTR after any handler, `SA_RESTART` or not; made again (for the time that is left) when no handler
    /// ran.
    NeverAfterHandler,
    /// ERESTARTNOINTR: waits, and is made again after any handler; the program never sees EINTR.
    Always,
    /// Does not wait for events, or not so that a signal would end it: needs no signal window and never
    /// answers EINTR.
    Uninterruptible,
}

/// How a call with a big buffer may be made in pieces that fit the cap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Chunk {
    /// In one piece only.
    Whole,
    /// `length` bytes at `buffer` come or go at the file's own position: pieces in sequence add up, and a
    /// short count is a legal answer. On sockets that keep records and on pipes below `PIPE_BUF` (4096) a
    /// piece is a record, so only what would not fit otherwise is cut.
    Stream {
        /// Index of the buffer argument.
        buffer_arg: u8,
        /// Index of the length argument.
        length_arg: u8,
    },
    /// As `Stream`, at the position in another argument, which moves along.
    Positioned {
        /// Index of the buffer argument.
        buffer_arg: u8,
        /// Index of the length argument.
        length_arg: u8,
        /// Index of the file position argument.
        offset_arg: u8,
    },
    /// As `Stream`, of an `iovec` array: the array is copied and cut short.
    Vector {
        /// Index of the array argument.
        vector_arg: u8,
        /// Index of the count argument.
        count_arg: u8,
        /// Index of the file position argument, where there is one.
        offset_arg: Option<u8>,
    },
    /// A message of a socket, `length` bytes at `buffer`: never in pieces, but through another buffer where
    /// this one does not fit.
    Message {
        /// Index of the buffer argument.
        buffer_arg: u8,
        /// Index of the length argument.
        length_arg: u8,
    },
    /// The same with a `msghdr`.
    Header {
        /// Index of the argument that points at it.
        header_arg: u8,
    },
    /// The length may be lowered: the kernel fills what fits, and the program asks again.
    Shorter {
        /// Index of the buffer argument.
        buffer_arg: u8,
        /// Index of the length argument.
        length_arg: u8,
    },
}

/// What is known about one system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The call's number in the x86-64 table.
    pub number: u32,
    /// Its name, as in `asm/unistd_64.h` without `__NR_`.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arguments: u8,
    /// Which way it goes.
    pub route: Route,
    /// Its pointers, for every route.
    pub pointers: &'static [Pointer],
    /// What a signal does to it. For calls where the arguments matter, [`blocking`] knows better.
    pub restart: Restart,
    /// How it may be cut.
    pub chunk: Chunk,
}

/// The program's own EFAULT: an address that the program itself may not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the program has no readable memory at {addr:#x}")]
pub struct Fault {
    /// Where reading failed, or the start of what could not be read.
    pub addr: u64,
}

/// The program's memory, as far as it has to be read to follow nested structures.
pub trait UserMemory {
    /// Copies `into.len()` bytes at `addr`, making pages resident as needed. At most 256 bytes are asked for
    /// at once; reads of texts never cross a page, reads of structures may.
    ///
    /// # Errors
    /// [`Fault`] where the program has no readable memory there, or where filling failed.
    fn read(&mut self, addr: u64, into: &mut [u8]) -> Result<(), Fault>;
}

/// A run of bytes that the kernel will touch. `len` is never 0, and `addr + len` never exceeds
/// [`USER_END`](crate::addr::USER_END).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// First byte.
    pub addr: u64,
    /// Number of bytes.
    pub len: u64,
    /// What the kernel does with them.
    pub direction: Direction,
}
