//! Processes, threads, identities, limits, scheduling.

use super::builder::*;
use crate::calls::*;
use Direction::In;
use Length::{ArgTimes, Int, UpTo};
use Shape::StringVector;
use Virtual as V;

/// `struct rusage`.
const RUSAGE: u32 = 144;
/// `struct rlimit`, `struct rlimit64`.
const RLIMIT: u32 = 16;
/// A mask of `NR_CPUS` bits, of which x86-64 has 8192.
const CPU_MASK: u32 = 1024;

pub(super) const ROWS: &[Row] = &[
    call(24, "sched_yield", 0),
    call(39, "getpid", 0),
    call(56, "clone", 5).virtualised(V::Clone, &[at(2, Shape::CloneTid), at(3, Shape::CloneTid)]).always(),
    call(57, "fork", 0).virtualised(V::Fork, &[]).always(),
    call(58, "vfork", 0).virtualised(V::Vfork, &[]).always(),
    call(59, "execve", 3).virtualised(V::Execve, &[path(0), at(1, StringVector), at(2, StringVector)]),
    call(60, "exit", 1).virtualised(V::Exit, &[]),
    call(61, "wait4", 4).fills(&[writes(1, 4), writes(3, RUSAGE)]).restartable(),
    call(95, "umask", 1),
    call(97, "getrlimit", 2).virtualised(V::Getrlimit, &[writes(1, RLIMIT)]),
    call(98, "getrusage", 2).fills(&[writes(1, RUSAGE)]),
    call(101, "ptrace", 4).virtualised(V::Ptrace, &[at(3, Shape::Ptrace)]),
    call(102, "getuid", 0),
    call(104, "getgid", 0),
    call(105, "setuid", 1),
    call(106, "setgid", 1),
    call(107, "geteuid", 0),
    call(108, "getegid", 0),
    call(109, "setpgid", 2),
    call(110, "getppid", 0),
    call(111, "getpgrp", 0),
    call(112, "setsid", 0),
    call(113, "setreuid", 2),
    call(114, "setregid", 2),
    call(115, "getgroups", 2).fills(&[output(1, ArgTimes(0, 4))]),
    call(116, "setgroups", 2).fills(&[input(1, ArgTimes(0, 4))]),
    call(117, "setresuid", 3),
    call(118, "getresuid", 3).fills(&[writes(0, 4), writes(1, 4), writes(2, 4)]),
    call(119, "setresgid", 3),
    call(120, "getresgid", 3).fills(&[writes(0, 4), writes(1, 4), writes(2, 4)]),
    call(121, "getpgid", 1),
    call(122, "setfsuid", 1),
    call(123, "setfsgid", 1),
    call(124, "getsid", 1),
    call(125, "capget", 2).fills(&[edits(0, 8), at(1, Shape::CapData(Direction::Out))]),
    call(126, "capset", 2).fills(&[edits(0, 8), at(1, Shape::CapData(In))]),
    call(135, "personality", 1),
    call(140, "getpriority", 2),
    call(141, "setpriority", 3),
    call(142, "sched_setparam", 2).fills(&[reads(1, 4)]),
    call(143, "sched_getparam", 2).fills(&[writes(1, 4)]),
    call(144, "sched_setscheduler", 3).fills(&[reads(2, 4)]),
    call(145, "sched_getscheduler", 1),
    call(146, "sched_get_priority_max", 1),
    call(147, "sched_get_priority_min", 1),
    call(148, "sched_rr_get_interval", 2).fills(&[writes(1, 16)]),
    // Function 0 writes the table out, 2 the default one, 1 and 0x11 read one entry of 16 bytes.
    call(154, "modify_ldt", 3).fills(&[both(1, UpTo(2, 65536))]),
    call(157, "prctl", 5).virtualised(V::Prctl, &[at(1, Shape::Prctl)]),
    call(158, "arch_prctl", 2).virtualised(V::ArchPrctl, &[at(1, Shape::ArchPrctl)]),
    call(160, "setrlimit", 2).virtualised(V::Setrlimit, &[reads(1, RLIMIT)]),
    call(186, "gettid", 0),
    call(203, "sched_setaffinity", 3).fills(&[input(2, Int(1, CPU_MASK))]),
    call(204, "sched_getaffinity", 3).fills(&[output(2, Int(1, CPU_MASK))]),
    call(205, "set_thread_area", 1),
    call(211, "get_thread_area", 1),
    call(218, "set_tid_address", 1).virtualised(V::SetTidAddress, &[]),
    call(231, "exit_group", 1).virtualised(V::ExitGroup, &[]),
    call(247, "waitid", 5).fills(&[writes(2, 128), writes(4, RUSAGE)]).restartable(),
    call(251, "ioprio_set", 3),
    call(252, "ioprio_get", 2),
    call(272, "unshare", 1),
    call(273, "set_robust_list", 2).virtualised(V::SetRobustList, &[]),
    call(274, "get_robust_list", 3).virtualised(V::GetRobustList, &[writes(1, 8), writes(2, 8)]),
    call(302, "prlimit64", 4).virtualised(V::Prlimit, &[reads(2, RLIMIT), writes(3, RLIMIT)]),
    call(308, "setns", 2),
    call(309, "getcpu", 3).fills(&[writes(0, 4), writes(1, 4)]),
    call(312, "kcmp", 5),
    call(314, "sched_setattr", 3).fills(&[at(1, Shape::Sized(Direction::InOut, 0))]),
    call(315, "sched_getattr", 4).fills(&[output(1, Int(2, 4096))]),
    call(317, "seccomp", 3).virtualised(V::Seccomp, &[edits(2, 16)]),
    call(322, "execveat", 5).virtualised(V::Execveat, &[path(1), at(2, StringVector), at(3, StringVector)]),
    call(324, "membarrier", 3),
    call(334, "rseq", 4).refused(ENOSYS),
    call(434, "pidfd_open", 2),
    call(435, "clone3", 2).refused(ENOSYS),
    call(438, "pidfd_getfd", 3),
];
