//! The end of a thread: what the kernel would do to the program's memory on its behalf is done here, because the kernel does not wait for
//! missing pages of a thread that exits.

use pager_core::calls::{Direction, Span};
use pager_core::roster::End;

use super::leave::Leaving;
use crate::calls::fill::{self, Hold};
use crate::row;
use crate::server;
use crate::sys::{Errno, call, futex, nr, task};
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
        let _ = release_robust(block, head);
    }
    let clear_tid = block.own().clear_tid;
    if clear_tid != 0 {
        store_and_wake(block, clear_tid, 0);
    }
    if thread::count() <= 1 + server::count() {
        // The last thread; the server would keep the process alive.
        exit_process(code as i32);
    }
    thread::retire(block);
    loop {
        let _ = call!(nr::EXIT, code);
    }
}

/// exit_group: ends the process.
pub fn exit_process(code: i32) -> ! {
    Leaving::take().release();
    row::note_own_end(End::Code(code as u8));
    task::exit_group(code)
}

/// Stores a word of the program's and wakes who waits on it. The kernel finds a shared futex by its page, which has to stay for the wake.
fn store_and_wake(block: &'static Block, word: u64, value: u32) {
    let pinned = block.pinned();
    fill::ready(block, Span { addr: word, len: 4, direction: Direction::Out }, Hold::Pinned);
    if user::write_value(word, &value) == Ok(()) {
        let _ = futex::wake_program(word);
    }
    block.unpin_to(pinned);
}

/// Marks the robust mutexes that the thread holds as orphaned, as exit_robust_list of the kernel does.
fn release_robust(block: &'static Block, head: u64) -> Result<(), Errno> {
    let [first, offset, pending] = user::read_value::<[u64; 3]>(head)?;
    let mut entry = first;
    for _ in 0..ROBUST_LIMIT {
        if entry & !1 == head {
            break;
        }
        let next = user::read_value::<u64>(entry & !1)?;
        if entry & !1 != pending & !1 {
            orphan(block, (entry & !1).wrapping_add(offset))?;
        }
        entry = next;
    }
    if pending != 0 {
        orphan(block, (pending & !1).wrapping_add(offset))?;
    }
    Ok(())
}

fn orphan(block: &'static Block, word: u64) -> Result<(), Errno> {
    let value = user::read_value::<u32>(word)?;
    if value & FUTEX_TID_MASK == block.own().tid {
        store_and_wake(block, word, value & FUTEX_WAITERS | FUTEX_OWNER_DIED);
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
