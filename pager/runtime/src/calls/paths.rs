//! Names that mean something else under the pager: `/proc/self/exe`, descriptors of the runtime, and
//! libraries that are looked for under `--root` first.
//!
//! Where the kernel may be told which program runs (see `load::announce`), `/proc/self/exe` is right by
//! itself, by whatever name it is reached. Elsewhere it leads to the runtime, and the usual names of it are
//! replaced by one of a descriptor of the program's file.

use alloc::vec::Vec;

use pager_core::calls::Shape;
use pager_core::calls::procfs::{self, Named};

use super::descriptors;
use crate::call::Call;
use crate::die::Line;
use crate::program;
use crate::sys::Errno;
use crate::sys::file::{Fd, O_ACCMODE, O_PATH, O_RDONLY};
use crate::sys::{nr, task};
use crate::user;

pub const PATH_MAX: usize = 4096;
const SYMLINK: u32 = 88;
const SYMLINKAT: u32 = 266;
pub const OPENAT2: u32 = 437;

/// What becomes of a path.
enum Meaning {
    /// It is what it is.
    Itself,
    /// Another one, zero-terminated, in its place: the program's file.
    Program(Vec<u8>),
    /// Nothing is there.
    Hidden,
}

fn meaning(path: &[u8]) -> Meaning {
    match procfs::named(path, task::pid()) {
        Some(Named::Descriptor(fd)) if descriptors::is_ours(Fd(fd)) => Meaning::Hidden,
        Some(Named::Executable) => match program::stand_in() {
            Some(fd) => {
                Meaning::Program(Line::format(format_args!("/proc/self/fd/{}\0", fd.0)).as_bytes().to_vec())
            }
            None => Meaning::Itself,
        },
        _ => Meaning::Itself,
    }
}

/// The path argument of a call, if it is one of those that may mean something else.
pub fn suspect(addr: u64) -> Option<Vec<u8>> {
    let mut start = [0u8; 5];
    user::read(addr, &mut start).ok()?;
    let is_suspect =
        start.starts_with(b"/proc") || start.starts_with(b"/dev/") || matches!(&start[..2], b"//" | b"/.");
    if is_suspect { user::read_string(addr, PATH_MAX).ok() } else { None }
}

/// The call with its path replaced, and the path, where the kernel would find something else by it.
///
/// # Errors
/// ENOENT for a descriptor of the runtime.
pub fn translate(call: Call) -> Result<Option<(Call, Vec<u8>)>, Errno> {
    // A symbolic link's contents name nothing yet.
    let links = matches!(call.row.number, SYMLINK | SYMLINKAT);
    let path = call.row.pointers.iter().find(|pointer| pointer.shape == Shape::Path && !links);
    let Some(at) = path.map(|pointer| usize::from(pointer.argument)) else { return Ok(None) };
    let Some(text) = suspect(call.args[at]) else { return Ok(None) };
    match meaning(&text) {
        Meaning::Itself => Ok(None),
        Meaning::Hidden => Err(Errno::ENOENT),
        Meaning::Program(_) if opens_for_writing(&call) => Err(Errno::ETXTBSY),
        Meaning::Program(path) => {
            let mut call = call;
            call.args[at] = path.as_ptr() as u64;
            Ok(Some((call, path)))
        }
    }
}

/// What exec is to be told of instead of `path`, and whether that is another one.
///
/// # Errors
/// ENOENT for a descriptor of the runtime.
pub fn executed(path: Vec<u8>) -> Result<(Vec<u8>, Replaced), Errno> {
    match meaning(&path) {
        Meaning::Itself => Ok((path, Replaced::No)),
        Meaning::Hidden => Err(Errno::ENOENT),
        Meaning::Program(mut program) => {
            program.pop();
            Ok((program, Replaced::Yes(path)))
        }
    }
}

/// Whether a path was replaced.
pub enum Replaced {
    No,
    /// This is what it was.
    Yes(Vec<u8>),
}

fn opens_for_writing(call: &Call) -> bool {
    let flags = match u64::from(call.row.number) {
        nr::OPEN => call.args[1],
        nr::OPENAT => call.args[2],
        _ if call.row.number == OPENAT2 => user::read_value::<u64>(call.args[2]).unwrap_or(O_RDONLY),
        _ => return false,
    };
    flags & O_ACCMODE != O_RDONLY && flags & O_PATH == 0
}
