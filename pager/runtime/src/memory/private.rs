//! Private memory: anonymous, registered with the userfaultfd, and accessible only once its faults are the
//! runtime's.

use pager_core::area::{Area, Key, Protection};

use super::range::prot_bits;
use super::{advise_fork, deny};
use crate::engine;
use crate::keys;
use crate::space;
use crate::sys::Errno;
use crate::sys::memory::{self as kernel, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE};
use crate::sys::uffd;

/// Turns the mapped range of an area into private memory of ours: anonymous, registered, then accessible.
/// Whatever was mapped there is replaced.
///
/// # Errors
/// What the kernel says; the range is then unmapped or not accessible.
pub fn make_private(area: &Area) -> Result<(), Errno> {
    let (range, protection) = (area.range, area.protection);
    let (addr, len) = (range.start().start().0, range.bytes());
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    let at_once = rights_at_once(protection);
    kernel::mmap(addr, len, at_once, flags, -1, 0)?;
    register_afresh(addr, len, at_once)?;
    engine::mark(range, protection);
    protect_afresh(area)?;
    advise_fork::apply(range, area.fork)
}

/// The rights that new memory is mapped with: none, until its faults are the runtime's, unless they cannot be
/// given later.
pub fn rights_at_once(protection: Protection) -> u64 {
    if deny::denies_later(protection) { prot_bits(protection - Protection::WRITE) } else { PROT_NONE }
}

/// Has faults in new memory, mapped with the rights `at_once`, be the runtime's. A page of zeros that a
/// thread was quick enough to find there goes again: nothing can have been written to it.
///
/// # Errors
/// What the kernel says.
pub fn register_afresh(addr: u64, len: u64, at_once: u64) -> Result<(), Errno> {
    uffd::register(space::uffd(), addr, len)?;
    if at_once == PROT_NONE { Ok(()) } else { kernel::madvise(addr, len, kernel::MADV_DONTNEED) }
}

/// Gives memory that was mapped without access the protection of its area, and its key. One that the program
/// has freed meanwhile, though memory had it, is lost: Linux promises nothing about such memory.
fn protect_afresh(area: &Area) -> Result<(), Errno> {
    let (addr, len, prot) = (area.range.start().start().0, area.range.bytes(), prot_bits(area.protection));
    match area.key {
        // Without a key the kernel would choose the one for memory that may only be executed.
        Key::Number(number) if keys::are_there() && (number != 0 || prot == kernel::PROT_EXEC) => {
            match kernel::pkey_mprotect(addr, len, prot, number.into()) {
                Err(Errno::EINVAL) => kernel::mprotect(addr, len, prot),
                done => done,
            }
        }
        _ if prot == PROT_NONE => Ok(()),
        _ => kernel::mprotect(addr, len, prot),
    }
}
