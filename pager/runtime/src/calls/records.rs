//! Transfers of records whose buffers are large against the cap: made by one call, through memory of the
//! runtime's.
//!
//! The program's pages are made resident one by one, and for what there really is in the record only. What the
//! program may not touch is found first: a record that was taken out of a pipe cannot be put back. Up to there
//! the kernel makes the call as it is, so that its answer and what it leaves behind are its own.

use alloc::vec::Vec;

use pager_core::addr::{PageRange, VirtAddr};
use pager_core::area::Access;
use pager_core::calls::transfer::{MAX_TRANSFER, Transfer, of_vector};
use pager_core::calls::{Direction, Span};

use super::fill::{self, Hold};
use super::make::{self, Interruption};
use super::vectors::{IOV_MAX, RECORD_MAX, read_vector, sends};
use crate::arena;
use crate::buffers::RecordBuffer;
use crate::call::Call;
use crate::keys;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::memory::IoVec;
use crate::thread::Block;
use crate::user;

/// Makes a call with one buffer; `buffer` and `length` are the indices of its arguments.
///
/// # Errors
/// As the call.
pub fn buffer(block: &'static Block, call: Call, (buffer, length): (usize, usize)) -> Result<u64, Errno> {
    let parts = [IoVec { base: call.args[buffer], len: call.args[length] }];
    let parts = match reach_of(call, &parts) {
        Reach::Short(beginning) => return as_it_is(block, call, &beginning, &[]),
        Reach::Far(beginning) => beginning,
        Reach::Whole => parts.to_vec(),
    };
    let Ok(mut record) = Record::new(call, &parts) else {
        return make::whole(block, call, Interruption::AsUsual);
    };
    record.gather(&parts)?;
    let mut call = call;
    call.args[buffer] = record.buffer.as_mut_ptr() as u64;
    call.args[length] = record.buffer.len() as u64;
    let moved = make::whole(block, call, Interruption::AsUsual)?;
    record.scatter(&parts, moved)
}

/// Makes a call with a vector, whose elements are `parts`; `vector` and `count` are the indices of its
/// arguments.
///
/// # Errors
/// As the call.
pub fn vector(
    block: &'static Block,
    call: Call,
    parts: &[IoVec],
    (vector, count): (usize, usize),
) -> Result<u64, Errno> {
    let array = IoVec { base: call.args[vector], len: call.args[count] * size_of::<IoVec>() as u64 };
    let reached;
    let parts = match reach_of(call, parts) {
        Reach::Short(beginning) => return as_it_is(block, call, &beginning, &[array]),
        Reach::Far(beginning) => {
            reached = beginning;
            &reached
        }
        Reach::Whole => parts,
    };
    let Ok(mut record) = Record::new(call, parts) else {
        return make::whole(block, call, Interruption::AsUsual);
    };
    record.gather(parts)?;
    let one = IoVec { base: record.buffer.as_mut_ptr() as u64, len: record.buffer.len() as u64 };
    let mut call = call;
    call.args[vector] = &raw const one as u64;
    call.args[count] = 1;
    let moved = make::make(block, call, Interruption::AsUsual)?;
    record.scatter(parts, moved)
}

/// Makes sendmsg or recvmsg, whose header is argument `header`; `None` where its buffers are `limit` bytes or
/// less, or more than can be sent so.
pub fn message(block: &'static Block, call: Call, header: usize, limit: u64) -> Option<Result<u64, Errno>> {
    let given = user::read_value::<[u64; 7]>(call.args[header]).ok()?;
    let parts = Some(given[COUNT]).filter(|count| *count <= IOV_MAX);
    let parts = read_vector(given[VECTOR], parts?).ok()?;
    let total = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.len));
    // What the kernel refuses for its lengths is the kernel's to refuse.
    let is_refused = of_vector(parts.iter().map(|part| (part.base, part.len))) == Transfer::Refused;
    if total <= limit || is_refused || sends(call) && total > RECORD_MAX {
        return None;
    }
    let parts = match reach_of(call, &parts) {
        Reach::Short(_) if total <= SHORT => return None,
        Reach::Short(beginning) => return Some(message_as_it_is(block, call, (header, given), &beginning)),
        Reach::Far(beginning) => beginning,
        Reach::Whole => parts,
    };
    let record = Record::new(call, &parts).ok()?;
    Some(exchange(block, call, (header, given), &parts, record))
}

/// Words of a `msghdr`.
const NAME: usize = 0;
const NAME_LEN: usize = 1;
const VECTOR: usize = 2;
const COUNT: usize = 3;
const CONTROL: usize = 4;
const CONTROL_LEN: usize = 5;
const FLAGS: usize = 6;

fn exchange(
    block: &'static Block,
    call: Call,
    (header, given): (usize, [u64; 7]),
    parts: &[IoVec],
    mut record: Record,
) -> Result<u64, Errno> {
    record.gather(parts)?;
    let one = IoVec { base: record.buffer.as_mut_ptr() as u64, len: record.buffer.len() as u64 };
    let mut own = given;
    (own[VECTOR], own[COUNT]) = (&raw const one as u64, 1);
    let pinned = block.pinned();
    ready_sides(block, call, &given);
    let mut call = call;
    let at = core::mem::replace(&mut call.args[header], own.as_mut_ptr() as u64);
    let result = make::make(block, call, Interruption::AsUsual);
    block.unpin_to(pinned);
    let moved = result?;
    if !record.sends {
        // As the kernel, which leaves what lies between them alone.
        let words = [(NAME_LEN, given[NAME] != 0), (FLAGS, true)];
        for (word, _) in words.into_iter().filter(|(_, is_told)| *is_told) {
            user::write_value(at + word as u64 * 8, &(own[word] as u32))?;
        }
        user::write_value(at + CONTROL_LEN as u64 * 8, &own[CONTROL_LEN])?;
    }
    record.scatter(parts, moved)
}

/// Readies the name and the control data of a message.
fn ready_sides(block: &'static Block, call: Call, given: &[u64; 7]) {
    let direction = direction(call);
    for (addr, len) in
        [(given[NAME], u64::from(given[NAME_LEN] as u32)), (given[CONTROL], given[CONTROL_LEN])]
    {
        if addr != 0 && (1..=SIDE_MAX).contains(&len) {
            fill::ready(block, Span { addr, len, direction }, Hold::Pinned);
        }
    }
}

/// How much of the buffers the program may touch as the call does, counted from their beginning.
enum Reach {
    Whole,
    /// No more than these, [`SHORT`] bytes or less.
    Short(Vec<IoVec>),
    /// No more than these, which are longer.
    Far(Vec<IoVec>),
}

/// So many bytes may be pinned beyond the cap in a call that meets memory it may not touch: the most that a pipe
/// holds without privileges (`fs.pipe-max-size`). The kernel takes no part of a buffer of the pipe's that it
/// cannot copy whole, and where these begin only the kernel knows.
const SHORT: u64 = 1 << 20;

fn reach_of(call: Call, parts: &[IoVec]) -> Reach {
    let access = if sends(call) { Access::Read } else { Access::Write };
    let (mut beginning, mut total) = (Vec::new(), 0);
    for part in parts {
        let len = allowed(*part, access);
        total += len;
        beginning.push(IoVec { base: part.base, len });
        if len < part.len {
            return if total <= SHORT { Reach::Short(beginning) } else { Reach::Far(beginning) };
        }
    }
    Reach::Whole
}

/// How many bytes at the beginning of a buffer the areas and the program's protection keys allow the access to.
fn allowed(part: IoVec, access: Access) -> u64 {
    if arena::reserves(part.base, part.len) {
        return 0;
    }
    let Some(range) = PageRange::touching(VirtAddr(part.base), part.len) else { return 0 };
    let areas = SPACE.areas.read();
    let mut page = range.start();
    while page < range.end() {
        match areas.find(page) {
            Some(area) if area.protection.allows(access) && !keys::deny(area.key, access) => {
                page = area.range.end();
            }
            _ => return page.start().0.saturating_sub(part.base),
        }
    }
    part.len
}

/// Makes a call with the program's own buffers, of which `beginning` and `others` are made ready.
fn as_it_is(block: &'static Block, call: Call, beginning: &[IoVec], others: &[IoVec]) -> Result<u64, Errno> {
    let pinned = block.pinned();
    ready_all(block, others, Direction::In);
    ready_all(block, beginning, direction(call));
    let result = make::make(block, call, Interruption::AsUsual);
    block.unpin_to(pinned);
    result
}

fn message_as_it_is(
    block: &'static Block,
    call: Call,
    (header, given): (usize, [u64; 7]),
    beginning: &[IoVec],
) -> Result<u64, Errno> {
    let pinned = block.pinned();
    let words = IoVec { base: call.args[header], len: size_of_val(&given) as u64 };
    // The answer's lengths and flags are written into the header.
    ready_all(block, &[words], direction(call));
    ready_sides(block, call, &given);
    let array = IoVec { base: given[VECTOR], len: given[COUNT] * size_of::<IoVec>() as u64 };
    let result = as_it_is(block, call, beginning, &[array]);
    block.unpin_to(pinned);
    result
}

fn ready_all(block: &'static Block, parts: &[IoVec], direction: Direction) {
    for part in parts {
        fill::ready(block, Span { addr: part.base, len: part.len, direction }, Hold::Pinned);
    }
}

/// Which way the bytes of the call's buffers go.
fn direction(call: Call) -> Direction {
    if sends(call) { Direction::In } else { Direction::Out }
}

/// Most bytes of a name or of control data: what is longer the kernel refuses.
const SIDE_MAX: u64 = 1 << 20;

struct Record {
    buffer: RecordBuffer,
    sends: bool,
}

impl Record {
    fn new(call: Call, parts: &[IoVec]) -> Result<Record, Errno> {
        let total = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.len)).min(MAX_TRANSFER);
        Ok(Record { buffer: RecordBuffer::take(total)?, sends: sends(call) })
    }

    /// Copies what is to be sent.
    fn gather(&mut self, parts: &[IoVec]) -> Result<(), Errno> {
        let mut rest = &mut self.buffer[..];
        for part in parts.iter().filter(|_| self.sends) {
            let len = (part.len as usize).min(rest.len());
            let (this, others) = rest.split_at_mut(len);
            user::read(part.base, this)?;
            rest = others;
        }
        Ok(())
    }

    /// Copies what has come, `moved` bytes.
    fn scatter(&self, parts: &[IoVec], moved: u64) -> Result<u64, Errno> {
        if self.sends {
            return Ok(moved);
        }
        // A packet that was cut says how long it was.
        let mut rest = &self.buffer[..(moved as usize).min(self.buffer.len())];
        for part in parts {
            let (this, others) = rest.split_at((part.len as usize).min(rest.len()));
            user::write(part.base, this)?;
            rest = others;
        }
        Ok(moved)
    }
}
