//! The end of a thread: what the kernel would do to the program's memory on its behalf is done here, because the kernel does not wait for
//! missing pages of a thread that exits.

use pager_core::addr::VirtAddr;
use pager_core::area::Access;

use crate::fault;
use crate::sys::{Errno, call, futex, nr};
use crate::thread::{self, Block};
use crate::user;

const ROBUST_LIMIT: u32 = 2048;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;
const GET_ROBUST_LIST: u64 = 274;

/// exit: ends this thread.
pub fn exit_thread(block: &'static Block, code: u64) -> ! {
    let (head, _) = block.own().robust;
    if head != 0 {
        let _ = release_robust(block.own().tid, head);
    }
    let clear_tid = block.own().clear_tid;
    if clear_tid != 0 && user::write_value(clear_tid, &0u32) == Ok(()) {
        // The waiter may sleep on the page as the kernel knows it: it has to be there for the wake.
        let _ = fault::make_resident(VirtAddr(clear_tid), Access::Read);
        futex::wake_program(clear_tid);
    }
    thread::retire(block);
    loop {
        let _ = call!(nr::EXIT, code);
    }
}

/// Marks the robust mutexes that the thread holds as orphaned, as exit_robust_list of the kernel does.
fn release_robust(tid: u32, head: u64) -> Result<(), Errno> {
    let [first, offset, pending] = user::read_value::<[u64; 3]>(head)?;
    let mut entry = first;
    for _ in 0..ROBUST_LIMIT {
        if entry & !1 == head {
            break;
        }
        let next = user::read_value::<u64>(entry & !1)?;
        if entry & !1 != pending & !1 {
            orphan(tid, (entry & !1).wrapping_add(offset))?;
        }
        entry = next;
    }
    if pending != 0 {
        orphan(tid, (pending & !1).wrapping_add(offset))?;
    }
    Ok(())
}

fn orphan(tid: u32, word: u64) -> Result<(), Errno> {
    let value = user::read_value::<u32>(word)?;
    if value & FUTEX_TID_MASK == tid {
        user::write_value(word, &(value & FUTEX_WAITERS | FUTEX_OWNER_DIED))?;
        if value & FUTEX_WAITERS != 0 {
            futex::wake_program(word);
        }
    }
    Ok(())
}

/// get_robust_list, of this thread; of others the kernel knows none.
///
/// # Errors
/// As get_robust_list(2).
pub fn robust_list(block: &'static Block, pid: u64, head: u64, len: u64) -> Result<u64, Errno> {
    if pid != 0 && pid as u32 != block.own().tid {
        return call!(GET_ROBUST_LIST, pid, head, len);
    }
    let (own_head, own_len) = block.own().robust;
    user::write_value(head, &own_head)?;
    user::write_value(len, &own_len)?;
    Ok(0)
}
