//! System V shared memory: the kernel's, noted as an area so that memory calls know of it.

use pager_core::addr::{PAGE_SIZE, PageRange, VirtAddr};
use pager_core::area::{Area, Backing, ForkPolicy, Holding, KernelReason, Protection, Role};

use super::count_unmanaged;
use crate::state::STATE;
use crate::sys::{Errno, call};

const SHMAT: u64 = 30;
const SHMCTL: u64 = 31;
const SHMDT: u64 = 67;
const IPC_STAT: u64 = 2;
const SHM_RDONLY: u64 = 0o10000;
const SHM_REMAP: u64 = 0o40000;

/// shmat.
///
/// # Errors
/// As shmat(2); EINVAL for SHM_REMAP over memory of ours.
pub fn shmat(id: u64, addr: u64, flags: u64) -> Result<u64, Errno> {
    if flags & SHM_REMAP != 0 {
        return Err(Errno::EINVAL);
    }
    let mut info = [0u64; 32];
    let mut areas = STATE.areas.write();
    let at = call!(SHMAT, id, addr, flags)?;
    // struct shmid64_ds: shm_segsz stands behind the 48 bytes of ipc64_perm.
    let len = match call!(SHMCTL, id, IPC_STAT, info.as_mut_ptr()) {
        Ok(_) => info[6].next_multiple_of(PAGE_SIZE),
        Err(_) => PAGE_SIZE,
    };
    let write = if flags & SHM_RDONLY == 0 { Protection::WRITE } else { Protection::empty() };
    let Some(range) = PageRange::touching(VirtAddr(at), len) else { return Ok(at) };
    let area = Area {
        range,
        protection: Protection::READ | write,
        holding: Holding::Kernel(KernelReason::Shared),
        backing: Backing::Zero,
        fork: ForkPolicy::Copy,
        role: Role::Mapping,
    };
    count_unmanaged(&area);
    let _ = areas.insert(area);
    Ok(at)
}

/// shmdt.
///
/// # Errors
/// As shmdt(2).
pub fn shmdt(addr: u64) -> Result<u64, Errno> {
    let mut areas = STATE.areas.write();
    call!(SHMDT, addr)?;
    if let Some(area) = areas.find(VirtAddr(addr).page()).copied() {
        areas.remove(area.range);
    }
    Ok(0)
}
