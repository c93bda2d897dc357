//! Lists in which descriptors of the runtime would be seen: directories of `/proc`, and what poll and select
//! are asked about.

use alloc::vec::Vec;

use pager_core::calls::procfs::{self, Layout};

use super::descriptors;
use crate::call::Call;
use crate::control;
use crate::die::Line;
use crate::own_descriptors;
use crate::sys::file::{self, Fd};
use crate::sys::{Errno, task};
use crate::user;

const POLL: u32 = 7;
const SELECT: u32 = 23;
const GETDENTS: u32 = 78;
const GETDENTS64: u32 = 217;
const PSELECT6: u32 = 270;
const PPOLL: u32 = 271;
const POLLNVAL: u32 = 0x20 << 16;
/// Most descriptors that a poll is looked through for.
const POLL_MAX: u64 = 1 << 20;

/// Which numbers a directory must not show.
enum Hidden {
    /// This process's own descriptors of the runtime.
    Own,
    /// All from this one on: another process's.
    From(i32),
}

impl Hidden {
    fn hides(&self, number: i32) -> bool {
        match self {
            Hidden::Own => descriptors::is_ours(Fd(number)),
            Hidden::From(least) => number >= *least,
        }
    }
}

/// How many bytes are left of what getdents has stored, `stored`, once the runtime's descriptors are taken
/// out; `None` for all other calls.
pub fn without_ours(call: &Call, stored: u64) -> Option<u64> {
    let layout = match call.row.number {
        GETDENTS => Layout::Old,
        GETDENTS64 => Layout::New,
        _ => return None,
    };
    let hidden = hidden_in(Fd(call.args[0] as i32))?;
    let mut entries = alloc::vec![0u8; stored as usize];
    user::read(call.args[1], &mut entries).ok()?;
    let left = procfs::without(&mut entries, layout, |number| hidden.hides(number));
    user::write(call.args[1], &entries[..left]).ok()?;
    Some(left as u64)
}

fn hidden_in(directory: Fd) -> Option<Hidden> {
    if !file::is_in_proc(directory) {
        return None;
    }
    let link = Line::format(format_args!("/proc/self/fd/{}\0", directory.0));
    let mut path = [0u8; 256];
    let len = file::readlink(link.as_bytes(), &mut path).ok()?;
    let process = procfs::listed(&path[..len])?;
    if process == task::pid() { Some(Hidden::Own) } else { hidden_of(process) }
}

/// Of another process of the run, which has the control file under the same number.
fn hidden_of(process: u32) -> Option<Hidden> {
    let control = control::control_fd();
    let link = Line::format(format_args!("/proc/{process}/fd/{}\0", control.0));
    let (its, ours) = (file::stat_path(link.as_bytes()).ok()?, file::stat_fd(control).ok()?);
    let least = descriptors::of_the_run().map(|fd| fd.0).min()?;
    ((its.device, its.inode) == (ours.device, ours.inode)).then_some(Hidden::From(least))
}

/// The answer to a poll or select that names descriptors of the runtime, which are not there: a poll does not
/// wait then. `None` for all others.
pub fn answer(call: &Call, make: impl Fn(Call) -> Result<u64, Errno>) -> Option<Result<u64, Errno>> {
    match call.row.number {
        POLL | PPOLL => poll(call, make),
        SELECT | PSELECT6 => names_ours_in_sets(call).then_some(Err(Errno::EBADF)),
        _ => None,
    }
}

fn poll(call: &Call, make: impl Fn(Call) -> Result<u64, Errno>) -> Option<Result<u64, Errno>> {
    let (array, count) = (call.args[0], call.args[1]);
    if count > POLL_MAX {
        return None;
    }
    let mut entries = alloc::vec![0u8; count as usize * 8];
    user::read(array, &mut entries).ok()?;
    let number = |entry: &[u8]| i32::from_ne_bytes([entry[0], entry[1], entry[2], entry[3]]);
    let ours = |(_, entry): &(usize, &[u8])| descriptors::is_ours(Fd(number(entry)));
    let ours: Vec<usize> = entries.chunks_exact(8).enumerate().filter(ours).map(|(at, _)| at).collect();
    if ours.is_empty() {
        return None;
    }
    let now = [0u64; 2];
    let mut at_once = *call;
    at_once.args[2] = if call.row.number == POLL { 0 } else { now.as_ptr() as u64 };
    Some(make(at_once).and_then(|ready| {
        let mut ready = ready;
        for at in ours {
            let events = array + at as u64 * 8 + 4;
            let told = user::read_value::<u32>(events)?;
            ready += u64::from(told >> 16 == 0);
            user::write_value(events, &(told & 0xffff | POLLNVAL))?;
        }
        Ok(ready)
    }))
}

fn names_ours_in_sets(call: &Call) -> bool {
    let numbers = call.args[0] as i32;
    let is_set = |fd: Fd| {
        let word = |set: &&u64| user::read_value::<u64>(**set + fd.0 as u64 / 64 * 8).unwrap_or(0);
        call.args[1..4].iter().filter(|set| **set != 0).any(|set| word(&set) >> (fd.0 % 64) & 1 != 0)
    };
    own_descriptors::least() < numbers
        && descriptors::all().into_iter().any(|fd| fd.0 < numbers && is_set(fd))
}

/// Makes getdents again until something is left of what it stores, or there is nothing more.
///
/// # Errors
/// As the call.
pub fn until_something_is_left(
    call: &Call,
    stored: u64,
    again: impl Fn() -> Result<u64, Errno>,
) -> Result<u64, Errno> {
    let mut stored = stored;
    while stored > 0 {
        match without_ours(call, stored) {
            None => return Ok(stored),
            Some(0) => stored = again()?,
            Some(left) => return Ok(left),
        }
    }
    Ok(0)
}
