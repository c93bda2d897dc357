//! Signal structures as the kernel lays them out on x86-64, and the calls that set actions, masks and stacks.

use pager_core::addr::PageNum;
use pager_core::inquiry::INQUIRY;
use pager_core::remote::Request;

use super::{Errno, call, nr};

pub const SIGILL: u32 = 4;
pub const SIGTRAP: u32 = 5;
pub const SIGBUS: u32 = 7;
pub const SIGFPE: u32 = 8;
pub const SIGKILL: u32 = 9;
pub const SIGSEGV: u32 = 11;
pub const SIGSTOP: u32 = 19;
pub const SIGSYS: u32 = 31;
pub const SIGNALS: u32 = 64;

pub const SIG_DFL: u64 = 0;
pub const SIG_IGN: u64 = 1;

pub const SA_NOCLDSTOP: u64 = 1;
pub const SA_NOCLDWAIT: u64 = 2;
pub const SA_SIGINFO: u64 = 4;
pub const SA_RESTORER: u64 = 0x0400_0000;
pub const SA_ONSTACK: u64 = 0x0800_0000;
pub const SA_RESTART: u64 = 0x1000_0000;
pub const SA_NODEFER: u64 = 0x4000_0000;
pub const SA_RESETHAND: u64 = 0x8000_0000;
/// The flags that the kernel keeps of an action (`UAPI_SA_FLAGS`); SA_EXPOSE_TAGBITS is one of them. It
/// clears the others, which is how a program finds out what there is.
pub const SA_KNOWN: u64 = SA_NOCLDSTOP
    | SA_NOCLDWAIT
    | SA_SIGINFO
    | SA_EXPOSE_TAGBITS
    | SA_RESTORER
    | SA_ONSTACK
    | SA_RESTART
    | SA_NODEFER
    | SA_RESETHAND;
const SA_EXPOSE_TAGBITS: u64 = 0x800;

pub const SS_ONSTACK: i32 = 1;
pub const SS_DISABLE: i32 = 2;
pub const SS_AUTODISARM: i32 = 1 << 31;

pub const SI_USER: i32 = 0;
pub const SI_QUEUE: i32 = -1;
pub const SI_SIGIO: i32 = -5;
pub const SI_TKILL: i32 = -6;
/// Stands for SI_USER between threads of one process; no sender's of Linux.
const FORWARDED_USER: i32 = -0x7061;
pub const SI_KERNEL: i32 = 0x80;
pub const SEGV_MAPERR: i32 = 1;
pub const SEGV_ACCERR: i32 = 2;
pub const SEGV_PKUERR: i32 = 4;
pub const BUS_ADRERR: i32 = 2;
pub const SYS_SECCOMP: i32 = 1;
pub const SYS_USER_DISPATCH: i32 = 2;
/// `si_arch` of a call made the 64-bit way.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// The flag that has unaligned accesses fault.
pub const EFLAGS_ALIGNMENT: u64 = 1 << 18;
/// The flag of a nested task: no use in 64-bit mode, where `iretq` faults while it is set.
pub const EFLAGS_NESTED_TASK: u64 = 1 << 14;
/// Flags that a program may set, and under which the runtime does not work.
pub const EFLAGS_PROGRAM_ALONE: u64 = EFLAGS_ALIGNMENT | EFLAGS_NESTED_TASK;

/// A set of signals: bit `n - 1` is signal `n`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(transparent)]
pub struct SignalSet(pub u64);

impl SignalSet {
    pub const ALL: SignalSet = SignalSet(!0);
    /// The signals the runtime lives by: never really blocked.
    pub const OURS: SignalSet = SignalSet::of(SIGSEGV).with(SIGBUS).with(SIGSYS);
    /// What no program can block.
    pub const UNBLOCKABLE: SignalSet = SignalSet::of(SIGKILL).with(SIGSTOP);
    /// All that arrive from outside.
    pub const ASYNCHRONOUS: SignalSet = SignalSet(!SignalSet::OURS.0);

    pub const fn of(signal: u32) -> SignalSet {
        SignalSet(1 << (signal - 1))
    }
    pub const fn with(self, signal: u32) -> SignalSet {
        SignalSet(self.0 | 1 << (signal - 1))
    }
    pub const fn union(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }
    pub const fn minus(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & !other.0)
    }
    pub const fn intersection(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & other.0)
    }
    pub const fn intersects(self, other: SignalSet) -> bool {
        self.0 & other.0 != 0
    }
    pub const fn has(self, signal: u32) -> bool {
        self.0 & SignalSet::of(signal).0 != 0
    }
    /// Those with lower numbers than `signal`.
    pub const fn below(self, signal: u32) -> SignalSet {
        SignalSet(self.0 & (SignalSet::of(signal).0 - 1))
    }
    /// The one with the lowest number.
    pub const fn first(self) -> Option<u32> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() + 1) }
    }
    /// What the kernel is told to block when the program blocks this.
    pub const fn for_kernel(self) -> SignalSet {
        self.minus(SignalSet::OURS)
    }
}

/// `struct sigaction` of the system call.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    pub handler: u64,
    pub flags: u64,
    pub restorer: u64,
    pub mask: SignalSet,
}

/// `stack_t`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    pub base: u64,
    pub flags: i32,
    pub pad: i32,
    pub size: u64,
}

const MINSIGSTKSZ: u64 = 2048;

impl AltStack {
    /// The stack as it will be kept.
    ///
    /// # Errors
    /// EINVAL for unknown flags, ENOMEM for one that is too small.
    pub fn checked(&self) -> Result<AltStack, Errno> {
        let mode = self.flags & !SS_AUTODISARM;
        match mode {
            SS_DISABLE => Ok(AltStack::NONE),
            0 | SS_ONSTACK if self.size < MINSIGSTKSZ => Err(Errno::ENOMEM),
            0 | SS_ONSTACK => Ok(AltStack { flags: self.flags & SS_AUTODISARM, ..*self }),
            _ => Err(Errno::EINVAL),
        }
    }

    pub const NONE: AltStack = AltStack { base: 0, flags: SS_DISABLE, pad: 0, size: 0 };

    pub const fn holds(&self, sp: u64) -> bool {
        sp > self.base && sp - self.base <= self.size
    }
}

/// Which field of a `siginfo_t` carries the runtime's marks: the last that the kernel keeps, where no fault
/// of ours has anything.
const MARK: usize = 3;
const SHOWN: u64 = 0x7061_6765_7273_686f;
const LAST: u64 = 0x7061_6765_726c_6173;

/// `siginfo_t`, 128 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SigInfo {
    pub signo: i32,
    pub errno: i32,
    pub code: i32,
    pub pad: i32,
    pub fields: [u64; 14],
}

impl SigInfo {
    pub const ZERO: SigInfo = SigInfo { signo: 0, errno: 0, code: 0, pad: 0, fields: [0; 14] };

    /// A fault at `addr`.
    pub const fn fault(signal: u32, code: i32, addr: u64) -> SigInfo {
        let mut info = SigInfo { signo: signal as i32, code, ..SigInfo::ZERO };
        info.fields[0] = addr;
        info
    }

    /// `si_addr`, for faults.
    pub const fn address(&self) -> u64 {
        self.fields[0]
    }

    /// `si_arch`, for a trapped call.
    pub const fn call_architecture(&self) -> u32 {
        (self.fields[1] >> 32) as u32
    }

    /// Whether the kernel had no room for what it says: it looks as though no process had sent it.
    pub const fn is_bare(&self) -> bool {
        self.code == SI_USER && self.fields[0] == 0
    }

    /// Whether another process sent it to the runtime: to keep to the cap, to bring pages in, or to tell of
    /// one, by what it says.
    pub const fn says_poke(&self) -> bool {
        self.is_queued(pager_core::shared::POKE)
            || self.is_queued(pager_core::remote::REQUEST)
            || self.is_queued(INQUIRY)
    }

    /// The page that somebody asks about, and the question's number.
    pub fn inquiry(&self) -> Option<(PageNum, u64)> {
        self.is_queued(INQUIRY).then_some((PageNum(self.fields[2]), self.fields[3]))
    }

    /// What another process of the run asks for, and the request's number, if it asks for pages.
    pub fn request(&self) -> Option<(Request, u64)> {
        let request =
            Request::unpack(self.fields[2]).filter(|_| self.is_queued(pager_core::remote::REQUEST))?;
        Some((request, self.fields[3]))
    }

    /// A signal that asks for pages.
    pub fn asking(request: &Request, number: u64) -> SigInfo {
        let mut info = SigInfo { signo: SIGSEGV as i32, code: SI_QUEUE, ..SigInfo::ZERO };
        (info.fields[1], info.fields[2], info.fields[3]) =
            (pager_core::remote::REQUEST, request.pack(), number);
        info
    }

    const fn is_queued(&self, value: u64) -> bool {
        // `si_value` of a queued signal lies behind `si_pid` and `si_uid`.
        self.code == SI_QUEUE && self.fields[1] == value
    }

    /// Whether it tells of something that happened on descriptor `fd` (F_SETSIG of fcntl(2)).
    pub const fn is_of_descriptor(&self, fd: i32) -> bool {
        // Behind the code come `si_band`, a long, and `si_fd`.
        self.code == SI_SIGIO && self.fields[1] as i32 == fd
    }

    /// As it may be sent to another thread, which the kernel refuses for what only itself sends.
    pub const fn forwarded(self) -> SigInfo {
        let code = if self.code == SI_USER { FORWARDED_USER } else { self.code };
        SigInfo { code, ..self }
    }

    /// As it was before it was [`forwarded`](SigInfo::forwarded).
    pub const fn received(self) -> SigInfo {
        let code = if self.code == FORWARDED_USER { SI_USER } else { self.code };
        SigInfo { code, ..self }
    }

    /// The same, to be sent once more so that a tracer sees it before the program does.
    pub fn shown(&self) -> SigInfo {
        self.marked(SHOWN)
    }

    /// Whether it is one of those.
    pub const fn is_shown(&self) -> bool {
        self.fields[MARK] == SHOWN
    }

    /// The same, by which the process is to end: the tracer has seen the one that it is for.
    pub fn last(&self) -> SigInfo {
        self.marked(LAST)
    }

    /// Whether it is one of those.
    pub const fn is_last(&self) -> bool {
        self.fields[MARK] == LAST
    }

    /// Without a mark.
    pub fn unmarked(&self) -> SigInfo {
        self.marked(0)
    }

    fn marked(&self, mark: u64) -> SigInfo {
        let mut info = *self;
        info.fields[MARK] = mark;
        info
    }

    /// Whether a process sent it, rather than the kernel in answer to an instruction.
    pub const fn is_sent(&self) -> bool {
        self.code <= 0
    }
}

/// `struct sigcontext`: the registers in a signal frame.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MachineContext {
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub eflags: u64,
    pub selectors: u64,
    pub err: u64,
    pub trapno: u64,
    pub oldmask: u64,
    pub cr2: u64,
    pub fpstate: u64,
    pub reserved: [u64; 8],
}

impl MachineContext {
    /// Code and stack segment, in the lowest and the highest 16 bits of `selectors`.
    const SEGMENTS: u64 = 0xffff_0000_0000_ffff;
    const CODE: u64 = 0xffff;
    /// The code segment of 64-bit programs.
    const USER_CODE: u64 = 0x33;
    /// User mode, in both segments.
    const USER: u64 = 3 << 48 | 3;

    /// Goes on in 64-bit code, as every handler does: 32-bit code may have been interrupted.
    pub fn enter_64_bit_code(&mut self) {
        self.selectors = self.selectors & !Self::CODE | Self::USER_CODE;
    }

    /// Goes on in the segments of `saved`, as sigreturn does; those for data stay.
    pub fn take_segments(&mut self, saved: &MachineContext) {
        self.selectors = self.selectors & !Self::SEGMENTS | saved.selectors & Self::SEGMENTS | Self::USER;
    }
}

/// In `flags` of a frame: the stack segment is to be restored as it stands there. The kernel says it of
/// frames of 64-bit code.
pub const UC_STRICT_RESTORE_SS: u64 = 4;

/// `struct ucontext`, the kernel's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct UContext {
    pub flags: u64,
    pub link: u64,
    pub stack: AltStack,
    pub machine: MachineContext,
    pub mask: SignalSet,
}

/// `struct rt_sigframe` without the FPU state, which lies above it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub return_address: u64,
    pub context: UContext,
    pub info: SigInfo,
}

/// Offset of `struct _fpx_sw_bytes` in the FPU state, its magic, and the magic behind the extended state.
pub const FP_SW_BYTES: u64 = 464;
pub const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
pub const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
pub const FP_LEGACY_BYTES: u64 = 512;

pub fn action(signal: u32, new: Option<&Action>, old: Option<&mut Action>) -> Result<(), Errno> {
    let new = new.map_or(0, |action| action as *const Action as u64);
    let old = old.map_or(0, |action| action as *mut Action as u64);
    call!(nr::RT_SIGACTION, signal, new, old, 8).map(drop)
}

const SIG_BLOCK: u64 = 0;
const SIG_UNBLOCK: u64 = 1;
const SIG_SETMASK: u64 = 2;

fn change_mask(how: u64, set: SignalSet) -> SignalSet {
    let mut old = SignalSet::default();
    let _ = call!(nr::RT_SIGPROCMASK, how, &set as *const SignalSet, &mut old as *mut SignalSet, 8);
    old
}

/// Replaces the thread's mask; the one before.
pub fn set_mask(mask: SignalSet) -> SignalSet {
    change_mask(SIG_SETMASK, mask)
}

/// The thread's mask.
pub fn mask() -> SignalSet {
    change_mask(SIG_BLOCK, SignalSet::default())
}

pub fn block(set: SignalSet) {
    change_mask(SIG_BLOCK, set);
}

pub fn unblock(set: SignalSet) {
    change_mask(SIG_UNBLOCK, set);
}

/// Takes a pending signal of `set`, which should be blocked.
pub fn take_pending(set: SignalSet) -> Option<SigInfo> {
    let (mut info, at_once) = (SigInfo::ZERO, [0u64; 2]);
    let set = &set as *const SignalSet;
    call!(nr::RT_SIGTIMEDWAIT, set, &mut info as *mut SigInfo, at_once.as_ptr(), 8).ok().map(|_| info)
}

pub fn set_alternate_stack(stack: &AltStack) -> Result<(), Errno> {
    call!(nr::SIGALTSTACK, stack as *const AltStack, 0).map(drop)
}

/// Sends `info` to a thread of this process.
pub fn queue_to_thread(pid: u32, tid: u32, info: &SigInfo) -> Result<(), Errno> {
    call!(nr::RT_TGSIGQUEUEINFO, pid, tid, info.signo, info as *const SigInfo).map(drop)
}

/// Sends `info` to this process.
pub fn queue_to_process(pid: u32, info: &SigInfo) -> Result<(), Errno> {
    call!(nr::RT_SIGQUEUEINFO, pid, info.signo, info as *const SigInfo).map(drop)
}

pub fn kill_thread(pid: u32, tid: u32, signal: u32) {
    let _ = call!(nr::TGKILL, pid, tid, signal);
}
