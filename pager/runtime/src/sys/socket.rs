//! Handing a descriptor through a socket.

use super::file::Fd;
use super::{Errno, call};

const SENDMSG: u64 = 46;
const SOL_SOCKET: u64 = 1;
const SCM_RIGHTS: u64 = 1;
const MSG_DONTWAIT: u64 = 0x40;
const MSG_NOSIGNAL: u64 = 0x4000;
/// Bytes of a control message's head, and of one with a descriptor.
const HEAD: u64 = 16;
const WITH_DESCRIPTOR: u64 = HEAD + 4;

/// Sends `fd` in a message of one byte, without waiting.
///
/// # Errors
/// What sendmsg says: EAGAIN where too many messages lie there, ECONNREFUSED where nobody has the other end
/// any more.
pub fn send_descriptor(socket: Fd, fd: Fd) -> Result<(), Errno> {
    let byte = [0u8];
    let vector = [byte.as_ptr() as u64, 1];
    // struct cmsghdr: length, then level and type, 32 bits each; the descriptor.
    let control = [WITH_DESCRIPTOR, SOL_SOCKET | SCM_RIGHTS << 32, fd.0 as u64];
    // struct msghdr: name and its length, vectors and their number, control and its length, flags.
    let message = [0, 0, vector.as_ptr() as u64, 1, control.as_ptr() as u64, size_of_val(&control) as u64, 0];
    call!(SENDMSG, socket.0, message.as_ptr(), MSG_DONTWAIT | MSG_NOSIGNAL).map(drop)
}
