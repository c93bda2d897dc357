//! Calls on open files: reading, writing, positions, directories, splicing, extended attributes by
//! descriptor.

use super::builder::*;
use crate::calls::*;
use Direction::{In, Out};
use Length::{Arg, Int, UpTo};
use Shape::IoVec;

/// Most bytes of directory entries at once.
const INT_MAX: u32 = i32::MAX as u32;

pub(super) const ROWS: &[Row] = &[
    call(0, "read", 3).fills(&[output(1, Arg(2))]).restartable().stream(1, 2),
    call(1, "write", 3).fills(&[input(1, Arg(2))]).restartable().stream(1, 2),
    call(3, "close", 1).virtualised(Virtual::Close, &[]),
    call(5, "fstat", 2).fills(&[writes(1, 144)]),
    call(8, "lseek", 3),
    call(16, "ioctl", 3).fills(&[at(2, Shape::Ioctl)]).restartable(),
    call(17, "pread64", 4).fills(&[output(1, Arg(2))]).restartable().positioned(1, 2, 3),
    call(18, "pwrite64", 4).fills(&[input(1, Arg(2))]).restartable().positioned(1, 2, 3),
    call(19, "readv", 3).fills(&[at(1, IoVec(Out, 2))]).restartable().vector(1, 2, None),
    call(20, "writev", 3).fills(&[at(1, IoVec(In, 2))]).restartable().vector(1, 2, None),
    call(22, "pipe", 1).fills(&[writes(0, 8)]),
    call(32, "dup", 1),
    call(33, "dup2", 2).virtualised(Virtual::Dup2, &[]),
    call(40, "sendfile", 4).fills(&[edits(2, 8)]).restartable(),
    call(72, "fcntl", 3).repeats(&[at(2, Shape::Fcntl)]).restartable(),
    call(73, "flock", 2).restartable(),
    call(74, "fsync", 1),
    call(75, "fdatasync", 1),
    call(77, "ftruncate", 2),
    call(78, "getdents", 3).fills(&[output(1, Int(2, INT_MAX))]).shorter(1, 2),
    call(81, "fchdir", 1),
    call(91, "fchmod", 2),
    call(93, "fchown", 3),
    call(138, "fstatfs", 2).fills(&[writes(1, 120)]),
    call(187, "readahead", 3),
    call(190, "fsetxattr", 5).fills(&[text(1, 256), input(2, UpTo(3, 65536))]),
    call(193, "fgetxattr", 4).fills(&[text(1, 256), output(2, UpTo(3, 65536))]),
    call(196, "flistxattr", 3).fills(&[output(1, UpTo(2, 65536))]),
    call(199, "fremovexattr", 2).fills(&[text(1, 256)]),
    call(217, "getdents64", 3).fills(&[output(1, Int(2, INT_MAX))]).shorter(1, 2),
    call(221, "fadvise64", 4),
    call(275, "splice", 6).fills(&[edits(1, 8), edits(3, 8)]).restartable(),
    call(276, "tee", 4).restartable(),
    call(277, "sync_file_range", 4),
    // The pipe would keep the pages and read them after they have been evicted, filled anew and changed.
    call(278, "vmsplice", 4).refused(EINVAL),
    call(285, "fallocate", 4).restartable(),
    call(292, "dup3", 3).virtualised(Virtual::Dup3, &[]),
    call(293, "pipe2", 2).fills(&[writes(0, 8)]),
    call(295, "preadv", 5).fills(&[at(1, IoVec(Out, 2))]).restartable().vector(1, 2, Some(3)),
    call(296, "pwritev", 5).fills(&[at(1, IoVec(In, 2))]).restartable().vector(1, 2, Some(3)),
    call(306, "syncfs", 1),
    call(319, "memfd_create", 2).fills(&[text(0, 250)]),
    call(326, "copy_file_range", 6).fills(&[edits(1, 8), edits(3, 8)]).restartable(),
    call(327, "preadv2", 6).fills(&[at(1, IoVec(Out, 2))]).restartable().vector(1, 2, Some(3)),
    call(328, "pwritev2", 6).fills(&[at(1, IoVec(In, 2))]).restartable().vector(1, 2, Some(3)),
    call(436, "close_range", 3).virtualised(Virtual::CloseRange, &[]),
    call(447, "memfd_secret", 1),
    call(451, "cachestat", 4).fills(&[reads(1, 16), writes(2, 40)]),
];
