//! Transfers that are large against the cap: made in pieces that fit, with the results that one call would
//! have had.
//!
//! Only what is known to be a stream of bytes is cut. All else may be records (datagrams, requests of
//! `/dev/fuse`, events), of which a shorter read would lose the end, or be refused, and a second one take the
//! next: that is `records`' business.

use pager_core::addr::PAGE_SIZE;
use pager_core::calls::transfer::{Transfer, leaves_file, of_buffer, of_single, of_vector};
use pager_core::calls::{Chunk, Direction, Span};

use super::fill::{self, Hold};
use super::make::{self, Interruption};
use super::records;
use super::vectors::{IOV_MAX, RECORD_MAX, limit, read_vector, sends};
use crate::call::Call;
use crate::sys::file::{self, Fd, Type};
use crate::sys::memory::IoVec;
use crate::sys::{Errno, call};
use crate::thread::Block;

const GETSOCKOPT: u64 = 55;
const PREADV2: u64 = 327;
const SOL_SOCKET: u64 = 1;
const SO_TYPE: u64 = 3;
const SOCK_STREAM: i32 = 1;
const RWF_NOWAIT: u64 = 8;

/// Makes a call whose buffers may be cut.
///
/// # Errors
/// As the call.
pub fn in_pieces(block: &'static Block, call: Call, chunk: Chunk) -> Result<u64, Errno> {
    match chunk {
        Chunk::Stream { buffer_arg, length_arg } => {
            let cut = Cut { buffer: buffer_arg.into(), length: length_arg.into(), offset: None };
            stream(block, call, cut)
        }
        Chunk::Positioned { buffer_arg, length_arg, offset_arg } => {
            let cut =
                Cut { buffer: buffer_arg.into(), length: length_arg.into(), offset: Some(offset_arg.into()) };
            stream(block, call, cut)
        }
        Chunk::Vector { vector_arg, count_arg, offset_arg } => {
            vector(block, call, vector_arg.into(), count_arg.into(), offset_arg.map(usize::from))
        }
        Chunk::Shorter { length_arg, .. } => {
            let mut call = call;
            let length = &mut call.args[usize::from(length_arg)];
            // The kernel takes the lower half. Into a negative length no entry fits.
            let Ok(given) = i32::try_from(*length as u32) else {
                return make::make(block, call, Interruption::AsUsual);
            };
            *length = (given as u64).min(limit().max(PAGE_SIZE * 2));
            make::whole(block, call, Interruption::AsUsual)
        }
        Chunk::Message { buffer_arg, length_arg } => {
            let arguments = (buffer_arg.into(), length_arg.into());
            match call.args[arguments.1] {
                total if total <= limit() => make::whole(block, call, Interruption::AsUsual),
                total if sends(call) && total > RECORD_MAX => make::whole(block, call, Interruption::AsUsual),
                _ => records::buffer(block, call, arguments),
            }
        }
        Chunk::Header { header_arg } => match records::message(block, call, header_arg.into(), limit()) {
            Some(result) => result,
            None => make::whole(block, call, Interruption::AsUsual),
        },
        Chunk::Whole => make::whole(block, call, Interruption::AsUsual),
    }
}

/// Which arguments move from piece to piece.
#[derive(Clone, Copy)]
struct Cut {
    buffer: usize,
    length: usize,
    offset: Option<usize>,
}

fn stream(block: &'static Block, call: Call, cut: Cut) -> Result<u64, Errno> {
    let (addr, len) = (call.args[cut.buffer], call.args[cut.length]);
    // Without a descriptor it is getrandom.
    let is_random = cut.buffer == 0;
    let Transfer::AtMost(total) = (if is_random { of_single(addr, len) } else { of_buffer(addr, len) })
    else {
        return make::make(block, call, Interruption::AsUsual);
    };
    if total <= limit() {
        return make::whole(block, call, Interruption::AsUsual);
    }
    if cut.offset.is_some_and(|offset| leaves_file(call.args[offset], len)) {
        match make::make(block, call, Interruption::AsUsual) {
            // One of the few files that have such places: it wants the buffer.
            Err(Errno::EFAULT) => {}
            refused => return refused,
        }
    }
    let nature = if is_random { Nature::Stream(Onward::Plainly) } else { nature(call, total) };
    let onward = match nature {
        Nature::Stream(onward) => onward,
        Nature::Short => {
            let mut call = call;
            call.args[cut.length] = limit();
            return make::whole(block, call, Interruption::AsUsual);
        }
        Nature::Records => return records::buffer(block, call, (cut.buffer, cut.length)),
    };
    let mut done = 0;
    while done < total {
        let piece = (total - done).min(limit());
        let mut part = call;
        part.args[cut.buffer] += done;
        part.args[cut.length] = piece;
        if let Some(offset) = cut.offset {
            part.args[offset] = part.args[offset].wrapping_add(done);
        }
        let moved = match onward {
            Onward::WithoutWaiting if done > 0 => {
                read_what_is_there(block, call, IoVec { base: part.args[cut.buffer], len: piece })
            }
            _ => make::whole(block, part, onward.interruption(done)),
        };
        match moved {
            Ok(moved) => {
                done += moved;
                if moved < piece {
                    break;
                }
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// How a full piece is followed by the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Onward {
    Plainly,
    /// A transfer of a regular file, which Linux never cuts short for a signal.
    Uninterrupted,
    /// A read that would wait for more must give back what it has.
    WithoutWaiting,
}

impl Onward {
    /// What a signal may do to the piece after the first `done` bytes.
    fn interruption(self, done: u64) -> Interruption {
        if self == Onward::Uninterrupted && done > 0 { Interruption::Never } else { Interruption::AsUsual }
    }
}

/// What the bytes of a transfer are to the file that they go to or come from.
enum Nature {
    /// Bytes in a row: pieces of them add up.
    Stream(Onward),
    /// A terminal, of which one read never gives more than fits in a piece, and says more than bytes where it
    /// is told of packets.
    Short,
    /// Perhaps records: to be moved by one call.
    Records,
}

fn nature(call: Call, total: u64) -> Nature {
    let fd = Fd(call.args[0] as i32);
    let Ok(stat) = file::stat_fd(fd) else { return Nature::Records };
    let appends = || file::status_flags(fd).is_ok_and(|flags| flags & file::O_APPEND != 0);
    match stat.kind() {
        Type::Regular if sends(call) && total <= RECORD_MAX && appends() => Nature::Records,
        Type::Regular => Nature::Stream(Onward::Uninterrupted),
        Type::Pipe | Type::Socket if stat.kind() == Type::Socket && !is_stream(fd) => Nature::Records,
        Type::Pipe | Type::Socket if sends(call) => Nature::Stream(Onward::Plainly),
        Type::Pipe | Type::Socket => Nature::Stream(Onward::WithoutWaiting),
        _ if stat.reads_in_full() => Nature::Stream(Onward::Plainly),
        Type::Character if file::is_terminal(fd) && sends(call) => Nature::Stream(Onward::Plainly),
        Type::Character if file::is_terminal(fd) => Nature::Short,
        _ => Nature::Records,
    }
}

fn is_pipe(call: Call) -> bool {
    file::stat_fd(Fd(call.args[0] as i32)).is_ok_and(|stat| stat.kind() == Type::Pipe)
}

/// Of a socket: else each call moves one message.
fn is_stream(fd: Fd) -> bool {
    let (mut kind, mut len) = (0i32, 4u32);
    call!(GETSOCKOPT, fd.0, SOL_SOCKET, SO_TYPE, &raw mut kind, &raw mut len).is_ok() && kind == SOCK_STREAM
}

/// Reads what can be had at once; descriptors that do not know of that answer EOPNOTSUPP, and then the read
/// ends where it is.
fn read_what_is_there(block: &'static Block, call: Call, piece: IoVec) -> Result<u64, Errno> {
    let pinned = block.pinned();
    let span = Span { addr: piece.base, len: piece.len, direction: Direction::Out };
    fill::ready(block, span, Hold::Pinned);
    let result = call!(PREADV2, call.args[0], &raw const piece, 1, u64::MAX, u64::MAX, RWF_NOWAIT);
    block.unpin_to(pinned);
    result
}

fn vector(
    block: &'static Block,
    call: Call,
    vector_arg: usize,
    count_arg: usize,
    offset_arg: Option<usize>,
) -> Result<u64, Errno> {
    let count = call.args[count_arg];
    if count > IOV_MAX {
        return make::make(block, call, Interruption::AsUsual);
    }
    if limit() == u64::MAX {
        return make::whole(block, call, Interruption::AsUsual);
    }
    let Ok(parts) = read_vector(call.args[vector_arg], count) else {
        return make::whole(block, call, Interruption::AsUsual);
    };
    let Transfer::AtMost(total) = of_vector(parts.iter().map(|part| (part.base, part.len))) else {
        return refused(block, call, vector_arg, count);
    };
    if total <= limit() {
        return make::whole(block, call, Interruption::AsUsual);
    }
    // preadv2 takes -1 for the file's own position, and preadv refuses it in any piece.
    let position = offset_arg.map(|offset| call.args[offset]).filter(|position| *position != u64::MAX);
    if position.is_some_and(|position| leaves_file(position, total)) {
        match refused(block, call, vector_arg, count) {
            Err(Errno::EFAULT) => {}
            refused => return refused,
        }
    }
    let onward = match nature(call, total) {
        // The elements would be packets, where the pipe has any.
        Nature::Stream(_) if total <= RECORD_MAX && is_pipe(call) => {
            return records::vector(block, call, &parts, (vector_arg, count_arg));
        }
        Nature::Stream(onward) => onward,
        Nature::Short | Nature::Records => {
            return records::vector(block, call, &parts, (vector_arg, count_arg));
        }
    };
    let mut done = 0;
    for part in parts.iter().filter(|part| part.len > 0) {
        let part = IoVec { len: part.len.min(total - done), ..*part };
        let moved = vector_part(block, call, part, done, (vector_arg, count_arg, offset_arg), onward);
        match moved {
            Ok(moved) => {
                done += moved;
                if moved < part.len {
                    break;
                }
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// A vector that the kernel refuses once it has read it: none of its buffers is brought in.
fn refused(block: &'static Block, call: Call, vector_arg: usize, count: u64) -> Result<u64, Errno> {
    let pinned = block.pinned();
    let span = Span {
        addr: call.args[vector_arg],
        len: count * size_of::<IoVec>() as u64,
        direction: Direction::In,
    };
    fill::ready(block, span, Hold::Pinned);
    let result = make::make(block, call, Interruption::AsUsual);
    block.unpin_to(pinned);
    result
}

/// One element of a vector, in pieces.
fn vector_part(
    block: &'static Block,
    call: Call,
    part: IoVec,
    before: u64,
    (vector_arg, count_arg, offset_arg): (usize, usize, Option<usize>),
    onward: Onward,
) -> Result<u64, Errno> {
    let mut done = 0;
    while done < part.len {
        let piece = IoVec { base: part.base + done, len: (part.len - done).min(limit()) };
        let mut one = call;
        one.args[vector_arg] = &raw const piece as u64;
        one.args[count_arg] = 1;
        if let Some(offset) = offset_arg
            && one.args[offset] != u64::MAX
        {
            one.args[offset] += before + done;
        }
        let moved = match onward {
            Onward::WithoutWaiting if before + done > 0 => read_what_is_there(block, call, piece),
            _ => single(block, one, piece, onward.interruption(before + done)),
        };
        match moved {
            Ok(moved) => {
                done += moved;
                if moved < piece.len {
                    break;
                }
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// A vector call with one element, whose array is ours and not the program's.
fn single(block: &'static Block, call: Call, piece: IoVec, interruption: Interruption) -> Result<u64, Errno> {
    let pinned = block.pinned();
    let direction = if sends(call) { Direction::In } else { Direction::Out };
    let span = Span { addr: piece.base, len: piece.len, direction };
    fill::ready(block, span, Hold::Pinned);
    let result = make::make(block, call, interruption);
    block.unpin_to(pinned);
    result
}
