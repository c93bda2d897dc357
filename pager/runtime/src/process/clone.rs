//! clone, by the shape of what it makes.

use pager_core::shared::count;

use super::{Request, fork, thread};
use crate::control;
use crate::credit;
use crate::sys::Errno;
use crate::sys::signal::UContext;
use crate::sys::task::{CLONE_THREAD, CLONE_VM};
use crate::thread::Block;

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
