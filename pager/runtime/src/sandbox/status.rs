//! `/proc/self/status` of a confined thread: the kernel knows nothing of its filters, so the two lines about
//! seccomp are written over.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::chain::Sandbox;
use crate::die::Line;
use crate::memory::limits;
use crate::sys::file::{self, Fd, O_CLOEXEC, O_RDONLY};
use crate::sys::{Errno, call, task};
use crate::thread::Block;

const MEMFD_CREATE: u64 = 319;
const MFD_CLOEXEC: u64 = 1;
/// Longer than any that the kernel writes.
const LONGEST: usize = 16 << 10;

/// Opens a copy of the thread's status with what is true, where `path` names that; nothing for other paths.
/// The copy does not change any more.
pub fn open(block: &'static Block, path: &[u8], flags: u64) -> Option<Result<u64, Errno>> {
    names_own(path).then(|| copy(&block.sandbox, flags))
}

fn names_own(path: &[u8]) -> bool {
    let Some(who) = path.strip_prefix(b"/proc/").and_then(|rest| rest.strip_suffix(b"/status")) else {
        return false;
    };
    let own = |text: &[u8], number| text == Line::format(format_args!("{number}")).as_bytes();
    match who.split(|byte| *byte == b'/').collect::<Vec<_>>()[..] {
        [b"self" | b"thread-self"] => true,
        [process] => own(process, task::tid()),
        [process, b"task", thread] => {
            (process == b"self" || own(process, task::pid())) && own(thread, task::tid())
        }
        _ => false,
    }
}

fn copy(sandbox: &Sandbox, flags: u64) -> Result<u64, Errno> {
    let mut text = alloc::vec![0u8; LONGEST];
    let status =
        limits::with_descriptors(|| file::open(b"/proc/thread-self/status\0", O_RDONLY | O_CLOEXEC))?;
    let got = read_all(status, &mut text);
    file::close(status);
    text.truncate(got?);
    let text = rewritten(&text, sandbox);
    let name = b"status\0";
    let memory_flags = if flags & O_CLOEXEC != 0 { MFD_CLOEXEC } else { 0 };
    let fd = Fd(call!(MEMFD_CREATE, name.as_ptr(), memory_flags)? as i32);
    match file::pwrite_all(fd, &text, 0) {
        Ok(()) => Ok(fd.0 as u64),
        Err(errno) => {
            file::close(fd);
            Err(errno)
        }
    }
}

fn read_all(fd: Fd, into: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    loop {
        match file::read(fd, &mut into[done..])? {
            0 => return Ok(done),
            got => done += got,
        }
    }
}

fn rewritten(text: &[u8], sandbox: &Sandbox) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let said = if line.starts_with(b"Seccomp:") {
            Line::format(format_args!("Seccomp:\t{}\n", sandbox.mode.load(Ordering::Relaxed)))
        } else if line.starts_with(b"Seccomp_filters:") {
            Line::format(format_args!("Seccomp_filters:\t{}\n", sandbox.filters().count()))
        } else {
            lines.push(line.to_vec());
            continue;
        };
        lines.push(said.as_bytes().to_vec());
    }
    lines.concat()
}
