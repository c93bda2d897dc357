//! System V shared memory: the kernel's, noted as an area so that memory calls know of it.

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange, USER_END, VirtAddr};
use pager_core::area::{Area, AreaTree, Holding, KernelReason, Protection, Role};

use super::{aligned_range, count_unmanaged, discard, is_ours, seal};
use crate::space::SPACE;
use crate::sys::{Errno, call};

const MINCORE: u64 = 27;
const SHMAT: u64 = 30;
const SHMCTL: u64 = 31;
const SHMDT: u64 = 67;
const IPC_STAT: u64 = 2;
const SHM_RDONLY: u64 = 0o10000;
const SHM_RND: u64 = 0o20000;
const SHM_REMAP: u64 = 0o40000;

/// shmat.
///
/// # Errors
/// As shmat(2); EINVAL for SHM_REMAP over the runtime's memory.
pub fn shmat(id: u64, addr: u64, flags: u64) -> Result<u64, Errno> {
    let mut areas = SPACE.areas.write();
    let len = size_of_segment(id);
    if flags & SHM_REMAP != 0
        && let Some(len) = len
    {
        make_way(&mut areas, addr, len, flags)?;
    }
    let at = call!(SHMAT, id, addr, flags)?;
    let len = len.unwrap_or(PAGE_SIZE);
    let write = if flags & SHM_RDONLY == 0 { Protection::WRITE } else { Protection::empty() };
    let Some(range) = PageRange::touching(VirtAddr(at), len) else { return Ok(at) };
    let area =
        Area::new(range, Protection::READ | write, Holding::Kernel(KernelReason::Shared), Role::Mapping);
    count_unmanaged(&area);
    let _ = areas.insert(area);
    Ok(at)
}

fn size_of_segment(id: u64) -> Option<u64> {
    let mut info = [0u64; 32];
    // struct shmid64_ds: shm_segsz stands behind the 48 bytes of ipc64_perm.
    call!(SHMCTL, id, IPC_STAT, info.as_mut_ptr()).ok().map(|_| info[6].next_multiple_of(PAGE_SIZE))
}

/// Gives up what a segment is to take the place of. The kernel does the same with its side.
fn make_way(areas: &mut AreaTree, addr: u64, len: u64, flags: u64) -> Result<(), Errno> {
    let addr = if flags & SHM_RND != 0 { addr - addr % PAGE_SIZE } else { addr };
    // An address that is none is the kernel's to refuse.
    let Ok(range) = aligned_range(addr, len) else { return Ok(()) };
    if addr == 0 {
        return Ok(());
    }
    if is_ours(range) {
        return Err(Errno::EINVAL);
    }
    seal::may_go(areas, range)?;
    discard(range);
    areas.remove(range);
    Ok(())
}

/// shmdt.
///
/// # Errors
/// As shmdt(2).
pub fn shmdt(addr: u64) -> Result<u64, Errno> {
    let mut areas = SPACE.areas.write();
    call!(SHMDT, addr)?;
    // All that was left of the segment is gone, which may be several areas.
    let mut page = VirtAddr(addr).page();
    while let Some(area) = next_shared(&areas, page).filter(|area| is_gone(area.range)) {
        page = area.range.end();
        areas.remove(area.range);
    }
    Ok(0)
}

fn next_shared(areas: &AreaTree, page: PageNum) -> Option<Area> {
    let rest = PageRange::new(page, VirtAddr(USER_END).page())?;
    areas.overlapping(rest).next().filter(|area| area.holding == Holding::Kernel(KernelReason::Shared))
}

/// Whether the kernel has nothing there any more.
fn is_gone(range: PageRange) -> bool {
    let mut residence = 0u8;
    call!(MINCORE, range.start().start().0, PAGE_SIZE, &raw mut residence) == Err(Errno::ENOMEM)
}
