//! Mapping calls.

use core::sync::atomic::{AtomicBool, Ordering};

use super::{Errno, call, nr};

pub const PROT_NONE: u64 = 0;
pub const PROT_READ: u64 = 1;
pub const PROT_WRITE: u64 = 2;
pub const PROT_EXEC: u64 = 4;
pub const MAP_SHARED: u64 = 1;
pub const MAP_PRIVATE: u64 = 2;
pub const MAP_SHARED_VALIDATE: u64 = 3;
pub const MAP_TYPE: u64 = 0xf;
pub const MREMAP_MAYMOVE: u64 = 1;
pub const MREMAP_FIXED: u64 = 2;
pub const MAP_FIXED: u64 = 0x10;
pub const MAP_ANONYMOUS: u64 = 0x20;
pub const MAP_32BIT: u64 = 0x40;
pub const MAP_LOCKED: u64 = 0x2000;
pub const MAP_NORESERVE: u64 = 0x4000;
pub const MAP_POPULATE: u64 = 0x8000;
pub const MAP_HUGETLB: u64 = 0x40000;
pub const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;

pub const MADV_RANDOM: u64 = 1;
pub const MADV_DONTNEED: u64 = 4;
pub const MADV_DONTDUMP: u64 = 16;
pub const MADV_POPULATE_READ: u64 = 22;
pub const MADV_POPULATE_WRITE: u64 = 23;
pub const MADV_GUARD_INSTALL: u64 = 102;
pub const MADV_GUARD_REMOVE: u64 = 103;

/// `PIDFD_SELF_THREAD_GROUP`: the calling process, as a descriptor that needs no opening (Linux 6.14).
const PIDFD_SELF_THREAD_GROUP: i64 = -10001;

/// A range for [`process_madvise`].
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct IoVec {
    pub base: u64,
    pub len: u64,
}

pub fn mmap(addr: u64, len: u64, prot: u64, flags: u64, fd: i64, offset: u64) -> Result<u64, Errno> {
    call!(nr::MMAP, addr, len, prot, flags, fd, offset)
}

pub fn munmap(addr: u64, len: u64) -> Result<(), Errno> {
    call!(nr::MUNMAP, addr, len).map(drop)
}

pub fn mprotect(addr: u64, len: u64, prot: u64) -> Result<(), Errno> {
    call!(nr::MPROTECT, addr, len, prot).map(drop)
}

pub fn pkey_mprotect(addr: u64, len: u64, prot: u64, key: i32) -> Result<(), Errno> {
    call!(nr::PKEY_MPROTECT, addr, len, prot, i64::from(key)).map(drop)
}

pub fn madvise(addr: u64, len: u64, advice: u64) -> Result<(), Errno> {
    call!(nr::MADVISE, addr, len, advice).map(drop)
}

pub fn mremap(old: u64, old_len: u64, new_len: u64, flags: u64, new: u64) -> Result<u64, Errno> {
    call!(nr::MREMAP, old, old_len, new_len, flags, new)
}

/// Gives one advice for many ranges of this process; the bytes advised.
pub fn process_madvise(ranges: &[IoVec], advice: u64) -> Result<u64, Errno> {
    call!(nr::PROCESS_MADVISE, PIDFD_SELF_THREAD_GROUP, ranges.as_ptr(), ranges.len(), advice, 0)
}

/// Drops the pages of all `ranges` (at most 1024), batched where the kernel can.
pub fn zap(ranges: &[IoVec]) -> Result<(), Errno> {
    /// Set once the kernel has refused a batch of ranges that it drops one by one (before Linux 6.14): it is
    /// not asked again.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let one_by_one = || ranges.iter().try_for_each(|range| madvise(range.base, range.len, MADV_DONTNEED));
    if ranges.len() < 2 || REFUSED.load(Ordering::Relaxed) {
        return one_by_one();
    }
    let total: u64 = ranges.iter().map(|range| range.len).sum();
    match process_madvise(ranges, MADV_DONTNEED) {
        Ok(done) if done == total => Ok(()),
        Err(Errno::EBADF | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
            one_by_one().inspect(|()| REFUSED.store(true, Ordering::Relaxed))
        }
        _ => one_by_one(),
    }
}

/// Reads memory of this process that it may read, by way of the kernel, which answers where an access of ours
/// would be a signal.
///
/// # Errors
/// What process_vm_readv says.
pub fn read_own(addr: u64, into: &mut [u8]) -> Result<u64, Errno> {
    const PROCESS_VM_READV: u64 = 310;
    let (local, remote) = (
        IoVec { base: into.as_mut_ptr() as u64, len: into.len() as u64 },
        IoVec { base: addr, len: into.len() as u64 },
    );
    // By the thread's number: by the process's nothing is found once its first thread has ended.
    call!(PROCESS_VM_READV, super::task::tid(), &raw const local, 1, &raw const remote, 1, 0)
}
