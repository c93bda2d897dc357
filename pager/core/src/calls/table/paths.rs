//! Calls that take file names.

use super::builder::*;
use crate::calls::*;
use Direction::{In, Out};
use Length::{Arg, ArgTimes, Int, UpTo};

/// `struct stat`.
const STAT: u32 = 144;
/// `struct statfs`.
const STATFS: u32 = 120;
/// `XATTR_NAME_MAX` and its NUL.
const XATTR_NAME: u32 = 256;
/// `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`.
const XATTR_VALUE: u32 = 65536;
/// The most that a link is read to: a page.
const LINK: u32 = 4096;
/// The most that the kernel takes of a structure whose size is an argument: a page.
const EXTENSIBLE: u32 = 4096;

pub(super) const ROWS: &[Row] = &[
    call(2, "open", 3).virtualised(Virtual::Open, &[path(0)]).restartable(),
    call(4, "stat", 2).fills(&[path(0), writes(1, STAT)]),
    call(6, "lstat", 2).fills(&[path(0), writes(1, STAT)]),
    call(21, "access", 2).fills(&[path(0)]),
    call(76, "truncate", 2).fills(&[path(0)]),
    call(79, "getcwd", 2).fills(&[output(0, UpTo(1, 4096))]),
    call(80, "chdir", 1).fills(&[path(0)]),
    call(82, "rename", 2).fills(&[path(0), path(1)]),
    call(83, "mkdir", 2).fills(&[path(0)]),
    call(84, "rmdir", 1).fills(&[path(0)]),
    call(85, "creat", 2).fills(&[path(0)]).restartable(),
    call(86, "link", 2).fills(&[path(0), path(1)]),
    call(87, "unlink", 1).fills(&[path(0)]),
    call(88, "symlink", 2).fills(&[path(0), path(1)]),
    call(89, "readlink", 3).virtualised(Virtual::Readlink, &[path(0), output(1, Int(2, LINK))]),
    call(90, "chmod", 2).fills(&[path(0)]),
    call(92, "chown", 3).fills(&[path(0)]),
    call(94, "lchown", 3).fills(&[path(0)]),
    call(132, "utime", 2).fills(&[path(0), reads(1, 16)]),
    call(133, "mknod", 3).fills(&[path(0)]),
    call(136, "ustat", 2).fills(&[writes(1, 32)]),
    call(137, "statfs", 2).fills(&[path(0), writes(1, STATFS)]),
    call(188, "setxattr", 5).fills(&[path(0), text(1, XATTR_NAME), input(2, UpTo(3, XATTR_VALUE))]),
    call(189, "lsetxattr", 5).fills(&[path(0), text(1, XATTR_NAME), input(2, UpTo(3, XATTR_VALUE))]),
    call(191, "getxattr", 4).fills(&[path(0), text(1, XATTR_NAME), output(2, UpTo(3, XATTR_VALUE))]),
    call(192, "lgetxattr", 4).fills(&[path(0), text(1, XATTR_NAME), output(2, UpTo(3, XATTR_VALUE))]),
    call(194, "listxattr", 3).fills(&[path(0), output(1, UpTo(2, XATTR_VALUE))]),
    call(195, "llistxattr", 3).fills(&[path(0), output(1, UpTo(2, XATTR_VALUE))]),
    call(197, "removexattr", 2).fills(&[path(0), text(1, XATTR_NAME)]),
    call(198, "lremovexattr", 2).fills(&[path(0), text(1, XATTR_NAME)]),
    call(235, "utimes", 2).fills(&[path(0), reads(1, 32)]),
    call(257, "openat", 4).virtualised(Virtual::Openat, &[path(1)]).restartable(),
    call(258, "mkdirat", 3).fills(&[path(1)]),
    call(259, "mknodat", 4).fills(&[path(1)]),
    call(260, "fchownat", 5).fills(&[path(1)]),
    call(261, "futimesat", 3).fills(&[path(1), reads(2, 32)]),
    call(262, "newfstatat", 4).fills(&[path(1), writes(2, STAT)]),
    call(263, "unlinkat", 3).fills(&[path(1)]),
    call(264, "renameat", 4).fills(&[path(1), path(3)]),
    call(265, "linkat", 5).fills(&[path(1), path(3)]),
    call(266, "symlinkat", 3).fills(&[path(0), path(2)]),
    call(267, "readlinkat", 4).virtualised(Virtual::Readlinkat, &[path(1), output(2, Int(3, LINK))]),
    call(268, "fchmodat", 3).fills(&[path(1)]),
    call(269, "faccessat", 3).fills(&[path(1)]),
    call(280, "utimensat", 4).fills(&[path(1), reads(2, 32)]),
    call(303, "name_to_handle_at", 5).fills(&[
        path(1),
        at(2, Shape::FileHandle(Direction::InOut)),
        writes(3, 8),
    ]),
    call(304, "open_by_handle_at", 3).fills(&[at(1, Shape::FileHandle(In))]).restartable(),
    call(316, "renameat2", 5).fills(&[path(1), path(3)]),
    call(332, "statx", 5).fills(&[path(1), writes(4, 256)]),
    call(437, "openat2", 4)
        .virtualised(Virtual::Openat2, &[path(1), input(2, UpTo(3, EXTENSIBLE))])
        .restartable(),
    call(439, "faccessat2", 4).fills(&[path(1)]),
    call(452, "fchmodat2", 4).fills(&[path(1)]),
    call(457, "statmount", 4).fills(&[at(0, Shape::Sized(In, 0)), output(1, Arg(2))]),
    call(458, "listmount", 4).fills(&[at(0, Shape::Sized(In, 0)), output(1, ArgTimes(2, 8))]),
    call(463, "setxattrat", 6).fills(&[path(1), text(3, XATTR_NAME), at(4, Shape::XattrArgs(In, 5))]),
    call(464, "getxattrat", 6).fills(&[path(1), text(3, XATTR_NAME), at(4, Shape::XattrArgs(Out, 5))]),
    call(465, "listxattrat", 5).fills(&[path(1), output(3, UpTo(4, XATTR_VALUE))]),
    call(466, "removexattrat", 4).fills(&[path(1), text(3, XATTR_NAME)]),
    call(468, "file_getattr", 5).fills(&[path(1), output(2, UpTo(3, EXTENSIBLE))]),
    call(469, "file_setattr", 5).fills(&[path(1), input(2, UpTo(3, EXTENSIBLE))]),
];
