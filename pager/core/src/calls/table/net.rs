//! Sockets.

use super::builder::*;
use crate::calls::*;
use Direction::{In, Out};
use Length::{Arg, Int, Pointed};
use Shape::{MMsgHdr, MsgHdr, SockAddrOut};

/// `struct sockaddr_storage`: no address is longer.
const SOCKADDR: u32 = 128;

pub(super) const ROWS: &[Row] = &[
    call(41, "socket", 3),
    call(42, "connect", 3).repeats(&[input(1, Int(2, SOCKADDR))]).restartable(),
    call(43, "accept", 3).fills(&[at(1, SockAddrOut(2)), edits(2, 4)]).restartable(),
    call(44, "sendto", 6).fills(&[input(1, Arg(2)), input(4, Int(5, SOCKADDR))]).restartable().message(1, 2),
    call(45, "recvfrom", 6)
        .fills(&[output(1, Arg(2)), at(4, SockAddrOut(5)), edits(5, 4)])
        .restartable()
        .message(1, 2),
    call(46, "sendmsg", 3).fills(&[at(1, MsgHdr(In))]).restartable().header(1),
    call(47, "recvmsg", 3).fills(&[at(1, MsgHdr(Out))]).restartable().header(1),
    call(48, "shutdown", 2),
    call(49, "bind", 3).fills(&[input(1, Int(2, SOCKADDR))]),
    call(50, "listen", 2),
    call(51, "getsockname", 3).fills(&[at(1, SockAddrOut(2)), edits(2, 4)]),
    call(52, "getpeername", 3).fills(&[at(1, SockAddrOut(2)), edits(2, 4)]),
    call(53, "socketpair", 4).fills(&[writes(3, 8)]),
    call(54, "setsockopt", 5).fills(&[at(3, Shape::SockOpt)]),
    call(55, "getsockopt", 5).fills(&[both(3, Pointed(4)), edits(4, 4)]),
    call(288, "accept4", 4).fills(&[at(1, SockAddrOut(2)), edits(2, 4)]).restartable(),
    call(299, "recvmmsg", 5).fills(&[at(1, MMsgHdr(Out, 2)), edits(4, 16)]).restartable(),
    call(307, "sendmmsg", 4).fills(&[at(1, MMsgHdr(In, 2))]).restartable(),
];
