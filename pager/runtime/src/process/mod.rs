//! Threads and processes: clone in its three shapes, exec, exit.
//!
//! | flags | shape | what the child has |
//! |---|---|---|
//! | CLONE_VM and CLONE_THREAD | thread | a block of its own; everything else is shared |
//! | CLONE_VM alone (vfork, posix_spawn) | lodger | a block and signal actions of its own, in our memory until it executes or exits |
//! | no CLONE_VM | fork | a copy of everything; its own userfaultfd |

pub mod exec;
pub mod exit;
mod fork;
pub mod leave;
pub mod lookup;
mod rest;
mod thread;
pub mod trace;

pub use thread::{child_entry, spawn_server};

use pager_core::calls::{Direction, Span};
use pager_core::shared::count;

use crate::calls::fill::{self, Hold};
use crate::control;
use crate::credit;
use crate::lifeline::Descriptors;
use crate::sys::Errno;
use crate::sys::signal::UContext;
use crate::sys::task::{CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_PARENT_SETTID, CLONE_THREAD, CLONE_VFORK};
use crate::sys::task::{CLONE_FILES, CLONE_VM};
use crate::thread::Block;
use crate::user;

const SIGCHLD: u64 = 17;
const CLONE_PIDFD: u64 = 0x1000;
/// What the kernel would write to the program's memory in the child, where nobody can fill pages for it: done by hand.
const BY_HAND: u64 = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;

/// The arguments of clone.
#[derive(Clone, Copy)]
pub struct Request {
    pub flags: u64,
    pub stack: u64,
    pub parent_tid: u64,
    pub child_tid: u64,
    pub tls: u64,
}

impl Request {
    pub const FORK: Request = Request { flags: SIGCHLD, stack: 0, parent_tid: 0, child_tid: 0, tls: 0 };
    pub const VFORK: Request = Request { flags: SIGCHLD | CLONE_VM | CLONE_VFORK, ..Request::FORK };

    pub fn from_args(args: &[u64; 6]) -> Request {
        let [flags, stack, parent_tid, child_tid, tls, _] = *args;
        Request { flags, stack, parent_tid, child_tid, tls }
    }

    fn kernel_flags(&self) -> u64 {
        self.flags & !BY_HAND
    }

    /// Readies the word where the kernel stores the new thread's number, or a descriptor of the new process (CLONE_PIDFD): both in the creator's
    /// memory. It does so before the thread runs: stored any later, the number could land on top of the zero that the thread leaves when it ends.
    fn ready_parent(&self, block: &'static Block) {
        if self.flags & (CLONE_PARENT_SETTID | CLONE_PIDFD) != 0 {
            let span = Span { addr: self.parent_tid, len: 4, direction: Direction::Out };
            fill::ready(block, span, Hold::Pinned);
        }
    }

    fn tell_child(&self, tid: u32) {
        if self.flags & CLONE_CHILD_SETTID != 0 {
            let _ = user::write_value(self.child_tid, &tid);
        }
    }

    fn descriptors(&self) -> Descriptors {
        if self.flags & CLONE_FILES == 0 { Descriptors::Copied } else { Descriptors::Shared }
    }

    fn clear_tid(&self) -> u64 {
        if self.flags & CLONE_CHILD_CLEARTID != 0 { self.child_tid } else { 0 }
    }
}

/// clone, fork and vfork.
///
/// # Errors
/// As clone(2); EAGAIN too for a process that a shared cap has no room for.
pub fn clone(block: &'static Block, context: &mut UContext, request: Request) -> Result<u64, Errno> {
    if request.flags & CLONE_THREAD == 0 && credit::is_full() {
        return Err(Errno::EAGAIN);
    }
    let counts = control::counts();
    let pinned = block.pinned();
    request.ready_parent(block);
    let result = if request.flags & CLONE_VM != 0 {
        let counter = if request.flags & CLONE_THREAD != 0 { &counts.threads } else { &counts.processes };
        count(counter, 1);
        thread::spawn(block, context, &request)
    } else {
        count(&counts.processes, 1);
        fork::fork(block, context, &request)
    };
    block.unpin_to(pinned);
    result
}
