//! Signals: actions, masks, sending, waiting, descriptors.

use super::builder::*;
use crate::calls::*;
use Virtual as V;

/// Bytes in the kernel's `sigset_t`.
const SIGSET: u32 = 8;
/// `struct sigaction` as the kernel has it.
const SIGACTION: u32 = 32;
/// `siginfo_t`.
const SIGINFO: u32 = 128;
/// `stack_t`.
const STACK: u32 = 24;

pub(super) const ROWS: &[Row] = &[
    call(13, "rt_sigaction", 4).virtualised(V::Sigaction, &[reads(1, SIGACTION), writes(2, SIGACTION)]),
    call(14, "rt_sigprocmask", 4).virtualised(V::Sigprocmask, &[reads(1, SIGSET), writes(2, SIGSET)]),
    call(15, "rt_sigreturn", 0).virtualised(V::Sigreturn, &[]),
    call(34, "pause", 0).interrupted(),
    call(62, "kill", 2),
    call(127, "rt_sigpending", 2).virtualised(V::Sigpending, &[output(0, Length::Arg(1))]),
    call(128, "rt_sigtimedwait", 4)
        .virtualised(V::Sigtimedwait, &[reads(0, SIGSET), writes(1, SIGINFO), reads(2, 16)])
        .interrupted(),
    call(129, "rt_sigqueueinfo", 3).fills(&[reads(2, SIGINFO)]),
    call(130, "rt_sigsuspend", 2).virtualised(V::Sigsuspend, &[at(0, Shape::Sigset(1))]).interrupted(),
    call(131, "sigaltstack", 2).virtualised(V::Sigaltstack, &[reads(0, STACK), writes(1, STACK)]),
    call(200, "tkill", 2),
    call(219, "restart_syscall", 0).interrupted(),
    call(234, "tgkill", 3),
    call(282, "signalfd", 3).virtualised(V::Signalfd, &[reads(1, SIGSET)]),
    call(289, "signalfd4", 4).virtualised(V::Signalfd, &[reads(1, SIGSET)]),
    call(297, "rt_tgsigqueueinfo", 4).fills(&[reads(3, SIGINFO)]),
    call(424, "pidfd_send_signal", 4).fills(&[reads(2, SIGINFO)]),
];
