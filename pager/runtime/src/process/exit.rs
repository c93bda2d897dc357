//! The end of a thread: what the kernel would do to the program's memory on its behalf is done here, because
//! the kernel does not wait for missing pages of a thread that exits.
//!
//! Ends in which no code of ours runs (another thread's exit, exec, a signal's default action, SIGKILL) are
//! the kernel's: it knows the robust list too, and the word to clear of a process that shares this memory. It
//! reaches what is in memory then.

use core::sync::atomic::Ordering;

use pager_core::calls::{Direction, Span};
use pager_core::roster::End;

use super::leave::Leaving;
use crate::calls::fill::{self, Hold};
use crate::row;
use crate::server;
use crate::sys::{Errno, call, futex, nr, task};
use crate::thread::{self, Block, Kin};
use crate::user;

const ROBUST_LIMIT: u32 = 2048;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;
const GET_ROBUST_LIST: u64 = 274;
const SET_ROBUST_LIST: u64 = 273;
const SET_TID_ADDRESS: u64 = 218;
/// `struct robust_list_head`.
const LIST_BYTES: u64 = 24;

/// exit: ends this thread.
pub fn exit_thread(block: &'static Block, code: u64) -> ! {
    let_go(block);
    let clear_tid = block.own().clear_tid;
    if clear_tid != 0 && !kernel_clears(block) {
        store_and_wake(block, clear_tid, 0);
    }
    if thread::count() <= 1 + server::count() {
        // The last thread; the server would keep the process alive.
        exit_process(block, code as i32);
    }
    thread::retire(block);
    loop {
        let _ = call!(nr::EXIT, code);
    }
}

/// Lets go of what other processes may wait for: the robust mutexes that the thread holds. To be followed by
/// its end. A lodger's word the kernel clears, once and last, as its owner may use it anew at once.
pub fn let_go(block: &'static Block) {
    let head = block.robust.swap(0, Ordering::Relaxed);
    if head != 0 {
        let _ = release_robust(block, head);
        // Once this thread is joined, its list's memory may be another's.
        let _ = call!(SET_ROBUST_LIST, 0, LIST_BYTES);
    }
    if kernel_clears(block) {
        let span = Span { addr: block.own().clear_tid, len: 4, direction: Direction::Out };
        fill::ready(block, span, Hold::Pinned);
    }
}

/// Whether it is the kernel that clears the thread's word: for a lodger, but not for threads that it has.
fn kernel_clears(block: &Block) -> bool {
    block.own().kin == Kin::Lodger && block.own().tid == task::pid()
}

/// Readies the robust lists of all threads for the kernel, which goes through them at exec and exit. An exec
/// that fails must leave the mutexes locked, and so must threads that still run.
pub fn ready_robust(block: &'static Block) {
    for head in thread::robust_lists() {
        let ready =
            |word, len| fill::ready(block, Span { addr: word, len, direction: Direction::Out }, Hold::Pinned);
        ready(head, LIST_BYTES);
        let _ = for_robust(head, |word| {
            ready(word, 4);
            Ok(())
        });
    }
}

/// set_robust_list.
///
/// # Errors
/// As set_robust_list(2).
pub fn set_robust_list(block: &'static Block, head: u64, len: u64) -> Result<u64, Errno> {
    let result = call!(SET_ROBUST_LIST, head, len)?;
    block.robust.store(head, Ordering::Relaxed);
    Ok(result)
}

/// set_tid_address. What a lodger's end clears is the kernel's to know.
pub fn set_tid_address(block: &'static Block, word: u64) -> u64 {
    block.own().clear_tid = word;
    if kernel_clears(block) {
        let _ = call!(SET_TID_ADDRESS, word);
    }
    block.own().tid.into()
}

/// exit_group: ends the process.
pub fn exit_process(block: &'static Block, code: i32) -> ! {
    let_go(block);
    ready_robust(block);
    Leaving::take().release();
    row::note_own_end(End::Code(code as u8));
    task::exit_group(code)
}

/// Stores a word of the program's and wakes who waits on it. The kernel finds a shared futex by its page,
/// which has to stay for the wake.
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
    for_robust(head, |word| orphan(block, word))
}

/// Goes through the robust list, in the kernel's order: the futex word of each entry, and last of the one
/// that is being locked or unlocked.
fn for_robust(head: u64, mut visit: impl FnMut(u64) -> Result<(), Errno>) -> Result<(), Errno> {
    let [first, offset, pending] = user::read_value::<[u64; 3]>(head)?;
    let mut entry = first;
    for _ in 0..ROBUST_LIMIT {
        if entry & !1 == head {
            break;
        }
        let next = user::read_value::<u64>(entry & !1)?;
        if entry & !1 != pending & !1 {
            visit((entry & !1).wrapping_add(offset))?;
        }
        entry = next;
    }
    if pending != 0 {
        visit((pending & !1).wrapping_add(offset))?;
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
    user::write_value(head, &block.robust.load(Ordering::Relaxed))?;
    user::write_value(len, &LIST_BYTES)?;
    Ok(0)
}
