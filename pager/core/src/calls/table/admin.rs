//! The system as a whole: names, mounts, modules, tracing, security modules, and numbers that Linux keeps but
//! no longer serves.

use super::builder::*;
use crate::calls::*;
use Length::{Arg, Fixed, Int, Pointed, UpTo};
use Shape::Sized;

/// `__NEW_UTS_LEN`.
const HOST_NAME: u32 = 64;
/// The most that the kernel takes of a structure whose size is an argument: a page.
const EXTENSIBLE: u32 = 4096;

pub(super) const ROWS: &[Row] = &[
    call(63, "uname", 1).fills(&[writes(0, 390)]),
    call(99, "sysinfo", 1).fills(&[writes(0, 112)]),
    call(103, "syslog", 3).fills(&[output(1, Int(2, i32::MAX as u32))]).restartable(),
    call(134, "uselib", 1),
    call(139, "sysfs", 3).fills(&[at(1, Shape::MountData), edits(2, 4096)]),
    call(153, "vhangup", 0),
    call(155, "pivot_root", 2).fills(&[path(0), path(1)]),
    call(156, "_sysctl", 1),
    call(161, "chroot", 1).fills(&[path(0)]),
    call(162, "sync", 0),
    call(163, "acct", 1).fills(&[path(0)]),
    call(165, "mount", 5).fills(&[path(0), path(1), path(2), at(4, Shape::MountData)]),
    call(166, "umount2", 2).fills(&[path(0)]),
    call(167, "swapon", 2).fills(&[path(0)]),
    call(168, "swapoff", 1).fills(&[path(0)]).interrupted(),
    call(169, "reboot", 4).fills(&[text(3, 256)]),
    call(170, "sethostname", 2).fills(&[input(0, Int(1, HOST_NAME))]),
    call(171, "setdomainname", 2).fills(&[input(0, Int(1, HOST_NAME))]),
    call(172, "iopl", 1),
    call(173, "ioperm", 3),
    call(174, "create_module", 2),
    call(175, "init_module", 3).fills(&[input(0, Arg(1)), text(2, 4096)]),
    call(176, "delete_module", 2).fills(&[text(0, 56)]),
    call(177, "get_kernel_syms", 1),
    call(178, "query_module", 5),
    call(179, "quotactl", 4).fills(&[path(1), at(3, Shape::Quotactl(0))]),
    call(180, "nfsservctl", 3),
    call(181, "getpmsg", 5),
    call(182, "putpmsg", 5),
    call(183, "afs_syscall", 5),
    call(184, "tuxcall", 3),
    call(185, "security", 3),
    call(212, "lookup_dcookie", 3),
    call(236, "vserver", 0),
    call(246, "kexec_load", 4).fills(&[at(2, Shape::KexecSegments(1))]),
    call(298, "perf_event_open", 5).fills(&[at(0, Sized(Direction::InOut, 4))]),
    call(313, "finit_module", 3).fills(&[text(1, 4096)]),
    call(318, "getrandom", 3).fills(&[output(0, Arg(1))]).restartable().stream(0, 1),
    call(320, "kexec_file_load", 5).fills(&[input(3, UpTo(2, 4096))]),
    call(321, "bpf", 3).fills(&[at(1, Shape::Bpf)]),
    // Only the kernel's own trampolines may make these two.
    call(335, "uretprobe", 0).refused(ENOSYS),
    call(336, "uprobe", 0).refused(ENOSYS),
    call(428, "open_tree", 3).fills(&[path(1)]),
    call(429, "move_mount", 5).fills(&[path(1), path(3)]),
    call(430, "fsopen", 2).fills(&[text(0, 256)]),
    call(431, "fsconfig", 5).fills(&[text(2, 256), at(3, Shape::FsConfig)]),
    call(432, "fsmount", 3),
    call(433, "fspick", 3).fills(&[path(1)]),
    call(442, "mount_setattr", 5).fills(&[path(1), input(3, UpTo(4, EXTENSIBLE))]),
    call(443, "quotactl_fd", 4).fills(&[at(3, Shape::Quotactl(1))]),
    call(444, "landlock_create_ruleset", 3).fills(&[input(0, UpTo(1, EXTENSIBLE))]),
    call(445, "landlock_add_rule", 4).fills(&[input(2, Fixed(16))]),
    call(446, "landlock_restrict_self", 2),
    call(459, "lsm_get_self_attr", 4).fills(&[both(1, Pointed(2)), edits(2, 4)]),
    call(460, "lsm_set_self_attr", 4).fills(&[input(1, Int(2, EXTENSIBLE))]),
    call(461, "lsm_list_modules", 3).fills(&[output(0, Pointed(1)), edits(1, 4)]),
    call(467, "open_tree_attr", 5).fills(&[path(1), input(3, UpTo(4, EXTENSIBLE))]),
];
