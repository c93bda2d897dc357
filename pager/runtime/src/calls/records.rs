//! Transfers of records whose buffers are large against the cap: made by one call, through memory of the runtime's.
//!
//! The program's pages are made resident one by one, and for what there really is in the record only.

use super::Call;
use super::perform::{self, Interruption};
use super::pieces::sends;
use crate::buffers::RecordBuffer;
use crate::sys::Errno;
use crate::sys::memory::IoVec;
use crate::thread::Block;
use crate::user;

/// Linux' MAX_RW_COUNT: no call moves more.
const MOST: u64 = 0x7fff_f000;

/// Makes a call with one buffer; `buffer` and `length` are the indices of its arguments.
///
/// # Errors
/// As the call.
pub fn buffer(block: &'static Block, call: Call, (buffer, length): (usize, usize)) -> Result<u64, Errno> {
    let parts = [IoVec { base: call.args[buffer], len: call.args[length] }];
    let Ok(mut record) = Record::new(call, &parts) else { return perform::whole(block, call, Interruption::AsUsual) };
    record.gather(&parts)?;
    let mut call = call;
    call.args[buffer] = record.buffer.as_mut_ptr() as u64;
    call.args[length] = record.buffer.len() as u64;
    let moved = perform::whole(block, call, Interruption::AsUsual)?;
    record.scatter(&parts, moved)
}

/// Makes a call with a vector, whose elements are `parts`; `vector` and `count` are the indices of its arguments.
///
/// # Errors
/// As the call.
pub fn vector(
    block: &'static Block,
    call: Call,
    parts: &[IoVec],
    (vector, count): (usize, usize),
) -> Result<u64, Errno> {
    let Ok(mut record) = Record::new(call, parts) else { return perform::whole(block, call, Interruption::AsUsual) };
    record.gather(parts)?;
    let one = IoVec { base: record.buffer.as_mut_ptr() as u64, len: record.buffer.len() as u64 };
    let mut call = call;
    call.args[vector] = &raw const one as u64;
    call.args[count] = 1;
    let moved = perform::make(block, call, Interruption::AsUsual)?;
    record.scatter(parts, moved)
}

struct Record {
    buffer: RecordBuffer,
    sends: bool,
}

impl Record {
    fn new(call: Call, parts: &[IoVec]) -> Result<Record, Errno> {
        let total = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.len)).min(MOST);
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
