//! Waiting for descriptors, notification, asynchronous I/O.

use super::builder::*;
use crate::calls::*;
use Length::ArgTimes;
use Shape::{FdSet, Sigset};

/// `struct pollfd`.
const POLLFD: u32 = 8;
/// `struct epoll_event`, packed.
const EPOLL_EVENT: u32 = 12;
/// `struct timespec`, `struct timeval`.
const TIME: u32 = 16;

pub(super) const ROWS: &[Row] = &[
    call(7, "poll", 3).fills(&[both(0, ArgTimes(1, POLLFD))]).interrupted(),
    call(23, "select", 5)
        .fills(&[at(1, FdSet(0)), at(2, FdSet(0)), at(3, FdSet(0)), edits(4, TIME)])
        .interrupted(),
    // The kernel writes the buffers of these later, when nothing keeps them resident.
    call(206, "io_setup", 2).refused(ENOSYS),
    call(207, "io_destroy", 1).refused(ENOSYS),
    call(208, "io_getevents", 5).refused(ENOSYS),
    call(209, "io_submit", 3).refused(ENOSYS),
    call(210, "io_cancel", 3).refused(ENOSYS),
    call(213, "epoll_create", 1),
    call(214, "epoll_ctl_old", 4),
    call(215, "epoll_wait_old", 4),
    call(232, "epoll_wait", 4).repeats(&[output(1, ArgTimes(2, EPOLL_EVENT))]).interrupted(),
    call(233, "epoll_ctl", 4).fills(&[reads(3, EPOLL_EVENT)]),
    call(253, "inotify_init", 0),
    call(254, "inotify_add_watch", 3).fills(&[path(1)]),
    call(255, "inotify_rm_watch", 2),
    call(270, "pselect6", 6)
        .fills(&[at(1, FdSet(0)), at(2, FdSet(0)), at(3, FdSet(0)), edits(4, TIME), at(5, Shape::SigsetBox)])
        .interrupted(),
    call(271, "ppoll", 5)
        .fills(&[both(0, ArgTimes(1, POLLFD)), edits(2, TIME), at(3, Sigset(4))])
        .interrupted(),
    call(281, "epoll_pwait", 6)
        .repeats(&[output(1, ArgTimes(2, EPOLL_EVENT)), at(4, Sigset(5))])
        .interrupted(),
    call(284, "eventfd", 1),
    call(290, "eventfd2", 2),
    call(291, "epoll_create1", 1),
    call(294, "inotify_init1", 1),
    call(300, "fanotify_init", 2),
    call(301, "fanotify_mark", 5).fills(&[path(4)]),
    call(333, "io_pgetevents", 6).refused(ENOSYS),
    call(425, "io_uring_setup", 2).refused(ENOSYS),
    call(426, "io_uring_enter", 6).refused(ENOSYS),
    call(427, "io_uring_register", 4).refused(ENOSYS),
    call(441, "epoll_pwait2", 6)
        .repeats(&[output(1, ArgTimes(2, EPOLL_EVENT)), reads(3, TIME), at(4, Sigset(5))])
        .interrupted(),
];
