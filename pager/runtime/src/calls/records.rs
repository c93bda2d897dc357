//! Transfers of records whose buffers are large against the cap: made by one call, through memory of the
//! runtime's.
//!
//! The program's pages are made resident one by one, and for what there really is in the record only.

use pager_core::calls::transfer::{MAX_TRANSFER, Transfer, of_vector};
use pager_core::calls::{Direction, Span};

use super::fill::{self, Hold};
use super::make::{self, Interruption};
use super::vectors::{IOV_MAX, RECORD_MAX, read_vector, sends};
use crate::buffers::RecordBuffer;
use crate::call::Call;
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
    let direction = if record.sends { Direction::In } else { Direction::Out };
    for (addr, len) in
        [(given[NAME], u64::from(given[NAME_LEN] as u32)), (given[CONTROL], given[CONTROL_LEN])]
    {
        if addr != 0 && (1..=SIDE_MAX).contains(&len) {
            fill::ready(block, Span { addr, len, direction }, Hold::Pinned);
        }
    }
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
