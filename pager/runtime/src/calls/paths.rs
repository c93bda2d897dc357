//! Names that mean something else under the pager: `/proc/self/exe`, and libraries that are looked for under `--root` first.

use alloc::vec::Vec;

use pager_core::calls::Shape;

use super::{Call, perform, raw};
use crate::die::Line;
use crate::root;
use crate::state::STATE;
use crate::sys::Errno;
use crate::sys::file::{O_ACCMODE, O_RDONLY};
use crate::sys::{nr, task};
use crate::thread::Block;
use crate::user;

const PATH_MAX: usize = 4096;

/// readlink and readlinkat.
///
/// # Errors
/// As readlink(2).
pub fn readlink(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let [path, buffer, len] = match u64::from(call.row.number) {
        nr::READLINKAT => [call.args[1], call.args[2], call.args[3]],
        _ => [call.args[0], call.args[1], call.args[2]],
    };
    match user::read_string(path, PATH_MAX) {
        Ok(text) if names_self(&text) => {
            let program = STATE.program.lock().clone();
            let len = program.len().min(len as u32 as usize);
            if len == 0 {
                return Err(Errno::EINVAL);
            }
            user::write(buffer, &program[..len])?;
            Ok(len as u64)
        }
        _ => perform::perform(block, call),
    }
}

/// The call with its path replaced, and the path, where it names this process's program by way of `/proc`: the kernel would find the runtime.
pub fn translate(call: Call) -> Option<(Call, Vec<u8>)> {
    let at = call.row.pointers.iter().find(|pointer| pointer.shape == Shape::Path)?.argument;
    let addr = call.args[usize::from(at)];
    let mut start = [0u8; 6];
    if user::read(addr, &mut start).is_err() || &start != b"/proc/" {
        return None;
    }
    let text = user::read_string(addr, PATH_MAX).ok()?;
    let program = program_named(&text)?;
    let mut call = call;
    call.args[usize::from(at)] = program.as_ptr() as u64;
    Some((call, program))
}

/// The program's path, zero-terminated, where `path` is the link to it.
pub fn program_named(path: &[u8]) -> Option<Vec<u8>> {
    let named = names_self(path);
    named.then(|| {
        let mut program = STATE.program.lock().clone();
        program.push(0);
        program
    })
}

fn names_self(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/proc/") else { return false };
    let Some(who) = rest.strip_suffix(b"/exe") else { return false };
    let own = Line::format(format_args!("{}", task::pid()));
    who == b"self" || who == b"thread-self" || who == own.as_bytes()
}

/// open, openat and openat2.
///
/// # Errors
/// As open(2).
pub fn open(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let at = usize::from(u64::from(call.row.number) != nr::OPEN);
    match replacement(call, at) {
        Some(path) => {
            let mut call = call;
            call.args[at] = path.as_ptr() as u64;
            raw(call.row.number.into(), call.args)
        }
        None => perform::perform(block, call),
    }
}

/// The path to open instead, zero-terminated, if there is one.
fn replacement(call: Call, at: usize) -> Option<Vec<u8>> {
    const OPENAT2: u32 = 437;
    if call.row.number == OPENAT2 || call.args[at + 1] & O_ACCMODE != O_RDONLY {
        return None;
    }
    let text = user::read_string(call.args[at], PATH_MAX).ok()?;
    program_named(&text).or_else(|| root::library(&text))
}
