//! System V and POSIX message queues, semaphores, shared memory; futexes; keys.

use super::builder::*;
use crate::calls::*;
use Length::{Arg, ArgPlus, ArgTimes, UpTo};

/// `NAME_MAX` and a NUL, for queue names.
const QUEUE_NAME: u32 = 256;
/// `struct mq_attr`.
const MQ_ATTR: u32 = 64;
/// `struct timespec`.
const TIMESPEC: u32 = 16;

pub(super) const ROWS: &[Row] = &[
    call(29, "shmget", 3),
    call(31, "shmctl", 3).fills(&[at(2, Shape::ShmCtl)]),
    call(64, "semget", 3),
    call(65, "semop", 3).repeats(&[input(1, ArgTimes(2, 6))]).interrupted(),
    call(66, "semctl", 4).fills(&[at(3, Shape::SemCtl)]),
    call(68, "msgget", 2),
    call(69, "msgsnd", 4).repeats(&[input(1, ArgPlus(2, 8))]).interrupted(),
    call(70, "msgrcv", 5).fills(&[output(1, ArgPlus(2, 8))]).interrupted(),
    call(71, "msgctl", 3).fills(&[at(2, Shape::MsgCtl)]),
    call(202, "futex", 6).repeats(&[at(0, Shape::Futex)]).restartable(),
    call(220, "semtimedop", 4).repeats(&[input(1, ArgTimes(2, 6)), reads(3, TIMESPEC)]).interrupted(),
    call(240, "mq_open", 4).fills(&[text(0, QUEUE_NAME), reads(3, MQ_ATTR)]),
    call(241, "mq_unlink", 1).fills(&[text(0, QUEUE_NAME)]),
    call(242, "mq_timedsend", 5).repeats(&[input(1, Arg(2)), reads(4, TIMESPEC)]).restartable(),
    call(243, "mq_timedreceive", 5)
        .fills(&[output(1, Arg(2)), writes(3, 4), reads(4, TIMESPEC)])
        .restartable(),
    call(244, "mq_notify", 2).fills(&[at(1, Shape::SigEvent)]),
    call(245, "mq_getsetattr", 3).fills(&[reads(1, MQ_ATTR), writes(2, MQ_ATTR)]),
    call(248, "add_key", 5).fills(&[text(0, 32), text(1, 4096), input(2, UpTo(3, 1 << 20))]),
    call(249, "request_key", 4).fills(&[text(0, 32), text(1, 4096), text(2, 4096)]).restartable(),
    call(250, "keyctl", 5).fills(&[at(0, Shape::Keyctl)]).restartable(),
    call(449, "futex_waitv", 5).repeats(&[at(0, Shape::FutexWaiters(1)), reads(3, TIMESPEC)]).restartable(),
    // Private or not is told by the flags of these; looked up for writing, as a shared one is.
    call(454, "futex_wake", 4).repeats(&[edits(0, 4)]),
    call(455, "futex_wait", 6).repeats(&[edits(0, 4), reads(4, TIMESPEC)]).restartable(),
    call(456, "futex_requeue", 4).repeats(&[at(0, Shape::FutexRequeue)]),
];
