//! Where the runtime's own code and data are mapped from.
//!
//! The kernel starts the runtime, and takes it for the program: `/proc/PID/exe` leads to it, and it is the
//! runtime's file that nobody may open for writing while it runs. Whoever has CAP_CHECKPOINT_RESTORE in the
//! user namespace may name another file (`PR_SET_MM_MAP`), but only when nothing of the old one is mapped any
//! more. So the runtime maps a second file with the same contents in its own place.

use pager_core::addr::PAGE_SIZE;
use pager_core::area::Protection;
use pager_core::elf::{HEADER_BYTES, Header, Program, Segment};

use crate::arena;
use crate::memory::prot_bits;
use crate::sys::file::{self, Fd};
use crate::sys::memory::{self, MAP_FIXED, MAP_PRIVATE, MREMAP_FIXED, MREMAP_MAYMOVE};
use crate::sys::{Errno, call, nr, task};

/// Whether the file that was executed is still mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Itself {
    /// It is: the kernel would refuse another one in its place.
    InFile,
    /// It is not.
    Elsewhere,
}

/// Maps the runtime from `copy` in place of the file that was executed, where this process may then name
/// another executable. Before there are other threads.
pub fn leave_file(copy: Option<Fd>) -> Itself {
    let may_name = || task::is_capable(task::CAP_CHECKPOINT_RESTORE) || task::is_capable(task::CAP_SYS_ADMIN);
    match copy.filter(|_| may_name()).map(map_from) {
        Some(Ok(())) => Itself::Elsewhere,
        _ => Itself::InFile,
    }
}

fn map_from(copy: Fd) -> Result<(), Errno> {
    let mut first = [0u8; PAGE_SIZE as usize];
    let got = file::pread_all(copy, &mut first, 0)?;
    let size = file::stat_fd(copy)?.size;
    let header = Header::parse(&first[..HEADER_BYTES.min(got)], size).map_err(|_| Errno::ENOEXEC)?;
    let table = header.phoff as usize..(header.phoff + header.table_bytes()) as usize;
    let table = first.get(table).ok_or(Errno::ENOEXEC)?;
    let program = Program::parse(header, table, size).map_err(|_| Errno::ENOEXEC)?;
    program.segments.iter().try_for_each(|segment| replace(copy, segment))
}

fn replace(copy: Fd, segment: &Segment) -> Result<(), Errno> {
    let range = segment.pages().ok_or(Errno::ENOEXEC)?;
    let (start, len) = (range.start().start().0, range.bytes());
    if segment.protection.contains(Protection::WRITE) {
        let data = arena::map(len, PAGE_SIZE)?;
        // SAFETY: the runtime's own data, read as bytes, into fresh memory; the one thread that there is
        // writes none of it before the next call.
        unsafe { core::ptr::copy_nonoverlapping(start as *const u8, data as *mut u8, len as usize) };
        // The same bytes are there before and after.
        return call!(nr::MREMAP, data, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, start).map(drop);
    }
    let offset = segment.offset - segment.vaddr % PAGE_SIZE;
    memory::mmap(start, len, prot_bits(segment.protection), MAP_PRIVATE | MAP_FIXED, copy.0.into(), offset)
        .map(drop)
}
