//! What clone is asked for.

use pager_core::calls::{Direction, Span};

use crate::calls::fill::{self, Hold};
use crate::lifeline::Descriptors;
use crate::sys::task::{CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_PARENT_SETTID};
use crate::sys::task::{CLONE_VFORK, CLONE_VM};
use crate::thread::Block;
use crate::user;

const SIGCHLD: u64 = 17;

const CLONE_PIDFD: u64 = 0x1000;

/// What the kernel would write to the program's memory in the child, where nobody can fill pages for it: done
/// by hand.
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

    pub fn kernel_flags(&self) -> u64 {
        self.flags & !BY_HAND
    }

    /// Readies the word where the kernel stores the new thread's number, or a descriptor of the new process
    /// (CLONE_PIDFD): both in the creator's memory. It does so before the thread runs: stored any later, the
    /// number could land on top of the zero that the thread leaves when it ends.
    pub fn ready_parent(&self, block: &'static Block) {
        if self.flags & (CLONE_PARENT_SETTID | CLONE_PIDFD) != 0 {
            let span = Span { addr: self.parent_tid, len: 4, direction: Direction::Out };
            fill::ready(block, span, Hold::Pinned);
        }
    }

    pub fn tell_child(&self, tid: u32) {
        if self.flags & CLONE_CHILD_SETTID != 0 {
            let _ = user::write_value(self.child_tid, &tid);
        }
    }

    pub fn descriptors(&self) -> Descriptors {
        if self.flags & CLONE_FILES == 0 { Descriptors::Copied } else { Descriptors::Shared }
    }

    pub fn clear_tid(&self) -> u64 {
        if self.flags & CLONE_CHILD_CLEARTID != 0 { self.child_tid } else { 0 }
    }
}
