//! What the arguments say beyond the row: whether this very call waits, whether it has to be refused, and
//! where its signal mask is.

use super::{Restart, Row, Shape, control, futex, ioctl};

/// What a signal does to this call with these arguments. As `row.restart`, but exact for futex and fcntl.
///
/// Not seen here: socket timeouts (`SO_RCVTIMEO`, `SO_SNDTIMEO`), which turn `Restartable` into
/// `NeverAfterHandler` for the socket's calls, and descriptors with `O_NONBLOCK`, which do not wait.
pub fn blocking(row: &Row, args: &[u64; 6]) -> Restart {
    match row.number {
        futex::CALL => futex::blocking(args[1], args[3]),
        FCNTL => control::fcntl_blocking(args[1]),
        _ => row.restart,
    }
}

const IOCTL: u32 = 16;
const SETSOCKOPT: u32 = 54;
const FCNTL: u32 = 72;
const PRCTL: u32 = 157;

const EINVAL: i32 = 22;
const ENOTTY: i32 = 25;
const ENOPROTOOPT: i32 = 92;

/// The errno to answer, unasked, when these arguments of an otherwise served call set up what a pager cannot
/// carry: memory that the kernel or a device touches after the call, dispatch of system calls.
pub fn refusal(row: &Row, args: &[u64; 6]) -> Option<i32> {
    const SOL_SOCKET: u32 = 1;
    const SO_ZEROCOPY: u32 = 60;
    const SOL_XDP: u32 = 283;
    const XDP_UMEM_REG: u32 = 4;
    const PR_SET_SYSCALL_USER_DISPATCH: u32 = 59;
    match row.number {
        SETSOCKOPT => match (args[1] as u32, args[2] as u32) {
            (SOL_SOCKET, SO_ZEROCOPY) | (SOL_XDP, XDP_UMEM_REG) => Some(ENOPROTOOPT),
            _ => None,
        },
        PRCTL if args[0] as u32 == PR_SET_SYSCALL_USER_DISPATCH => Some(EINVAL),
        IOCTL if ioctl::touches_memory_later(args[1] as u32) => Some(ENOTTY),
        _ => None,
    }
}

/// Where a call finds the signal mask that it puts in place while it waits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MaskArgument {
    /// This argument points at the mask.
    Direct(u8),
    /// This argument points at a pointer to the mask and its size.
    Boxed(u8),
}

/// The mask argument of ppoll, pselect6, epoll_pwait, epoll_pwait2 and rt_sigsuspend; `None` for every other
/// call.
pub fn signal_mask(row: &Row) -> Option<MaskArgument> {
    row.pointers.iter().find_map(|pointer| match pointer.shape {
        Shape::Sigset(_) => Some(MaskArgument::Direct(pointer.argument)),
        Shape::SigsetBox => Some(MaskArgument::Boxed(pointer.argument)),
        _ => None,
    })
}
