//! open, openat and openat2, where another file is opened than the program names.

use alloc::vec::Vec;

use pager_core::calls::maps::List;

use super::maps;
use super::paths::{OPENAT2, PATH_MAX, suspect};
use super::perform;
use crate::call::{Call, raw};
use crate::control;
use crate::root;
use crate::sandbox;
use crate::sys::file::{Fd, O_ACCMODE, O_RDONLY};
use crate::sys::{Errno, nr};
use crate::thread::Block;
use crate::user;

/// open and openat.
///
/// # Errors
/// As open(2).
pub fn open(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let at = usize::from(u64::from(call.row.number) != nr::OPEN);
    if !control::has_memory_files()
        && let Ok(text) = user::read_string(call.args[at], PATH_MAX)
        && text.rsplit(|byte| *byte == b'/').next() == Some(b"mem")
    {
        control::note_memory_file();
    }
    if block.sandbox.confines()
        && let Some(result) = open_status(block, call, at)
    {
        return result;
    }
    if let Some(list) = mappings(call, at) {
        let opened = perform::perform(block, call);
        if let Ok(fd) = opened {
            maps::replace(list, Fd(fd as i32), call.args[at + 1]);
        }
        return opened;
    }
    match library(call, at) {
        Some(path) => {
            let mut call = call;
            call.args[at] = path.as_ptr() as u64;
            raw(call.row.number.into(), call.args)
        }
        None => perform::perform(block, call),
    }
}

/// Opens the thread's own `/proc/.../status`, of which the kernel does not know all; nothing for other files.
fn open_status(block: &'static Block, call: Call, at: usize) -> Option<Result<u64, Errno>> {
    if call.row.number == OPENAT2 || call.args[at + 1] & O_ACCMODE != O_RDONLY {
        return None;
    }
    let text = user::read_string(call.args[at], PATH_MAX).ok()?;
    sandbox::status::open(block, &text, call.args[at + 1])
}

/// The library to open instead, zero-terminated, if there is one.
fn library(call: Call, at: usize) -> Option<Vec<u8>> {
    if !root::is_set() || call.row.number == OPENAT2 || call.args[at + 1] & O_ACCMODE != O_RDONLY {
        return None;
    }
    root::library(&user::read_string(call.args[at], PATH_MAX).ok()?)
}

/// Which list of the process's mappings is to be opened, if it is one.
fn mappings(call: Call, at: usize) -> Option<List> {
    let text = if call.row.number == OPENAT2 { None } else { suspect(call.args[at]) }?;
    maps::opened(&text, call.args[at + 1])
}
