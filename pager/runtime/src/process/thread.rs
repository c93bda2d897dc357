//! New threads, and lodgers: vfork children, which run in our memory until they execute or exit.

use alloc::boxed::Box;
use core::ptr::NonNull;

use super::Request;
use crate::die;
use crate::gate;
use crate::sandbox::{self, Lineage};
use crate::server;
use crate::signals::{self, frame, held};
use crate::sys::Errno;
use crate::sys::signal::{self, AltStack, SignalSet, UContext};
use crate::sys::task::{self, CLONE_CHILD_CLEARTID, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_SYSVSEM};
use crate::sys::task::{CLONE_THREAD, CLONE_VFORK, CLONE_VM};
use crate::thread::{self, Block, Kin};

/// What a child finds on its stack.
pub enum Start {
    /// A thread of the program.
    Program { block: &'static Block, resume: *mut UContext, request: Request },
    /// The thread that resolves faults.
    Server,
}

/// Starts a thread or lodger that goes on in the program where its creator stands, with 0 as result.
///
/// # Errors
/// As clone(2).
pub fn spawn(parent: &'static Block, context: &UContext, request: &Request) -> Result<u64, Errno> {
    let copied = request.flags & CLONE_SIGHAND == 0;
    let actions = if copied {
        NonNull::from(Box::leak(Box::new(parent.own().actions().copy())))
    } else {
        parent.own().actions
    };
    let block = Block::new(actions)?;
    let own = block.own();
    own.mask = parent.own().mask;
    own.last_trap = parent.own().last_trap;
    own.kin = if request.flags & CLONE_THREAD == 0 { Kin::Lodger } else { parent.own().kin };
    own.alternate = if request.flags & CLONE_VFORK != 0 { parent.own().alternate } else { AltStack::NONE };
    own.clear_tid = request.clear_tid();
    let same_process = request.flags & CLONE_THREAD != 0;
    sandbox::inherit(block, parent, if same_process { Lineage::SameProcess } else { Lineage::OwnProcess });
    // SAFETY: the block is new: nobody runs on its stack.
    let resume = unsafe { frame::copy_below(block.stack_top(), context) };
    // SAFETY: `resume` was just written there.
    let child = unsafe { &mut *resume };
    child.machine.rax = 0;
    child.stack = block.signal_stack();
    if request.stack != 0 {
        child.machine.rsp = request.stack;
    }
    let start = (resume as u64 - size_of::<Start>() as u64 - 64) & !63;
    // SAFETY: unused stack below the frame.
    unsafe { (start as *mut Start).write(Start::Program { block, resume, request: *request }) };
    let flags = request.kernel_flags() | CLONE_CHILD_CLEARTID;
    // A thread ends with its process or by its own doing; a lodger may be killed, and then nobody but the
    // kernel clears its word.
    let cleared = match request.clear_tid() {
        word if word != 0 && own.kin == Kin::Lodger && !same_process => word,
        _ => block.alive.as_ptr() as u64,
    };
    let stack = start & !15;
    // SAFETY: `stack` is the top of what is unused of the block's stack, and `start` lies above it.
    let result = unsafe { gate::clone(flags, stack, (request.parent_tid, cleared), request.tls, start) };
    match result {
        Ok(_) => {
            if request.flags & (CLONE_VFORK | CLONE_THREAD) == CLONE_VFORK {
                // It has executed or exited.
                block.alive.store(0, core::sync::atomic::Ordering::Relaxed);
                thread::retire(block);
                if copied {
                    // SAFETY: leaked above for the child alone, which is gone.
                    drop(unsafe { Box::from_raw(actions.as_ptr()) });
                }
            }
        }
        Err(_) => {
            block.alive.store(0, core::sync::atomic::Ordering::Relaxed);
            thread::retire(block);
        }
    }
    result
}

/// Where a new thread begins, on its block's stack.
///
/// # Safety
/// Called by `gate` only, with the `Start` that `spawn` wrote.
pub unsafe extern "C" fn child_entry(start: *const Start) -> ! {
    // SAFETY: by the caller.
    let Start::Program { block, resume, request } = (unsafe { &*start }) else { server::serve() };
    block.own().tid = task::tid();
    block.sandbox.belong(task::pid(), block.own().tid);
    held::publish(block, block.own().mask);
    let entered = signals::enter_thread(block).and_then(|()| task::dispatch_on(gate::text()));
    if let Err(errno) = entered {
        die::internal(format_args!("a new thread cannot be taken over: {errno:?}"));
    }
    request.tell_child(block.own().tid);
    // SAFETY: the frame that `spawn` made; nothing above it is needed.
    unsafe { gate::resume(*resume) }
}

/// Starts the thread that resolves faults. It runs on a block of its own, as part of the process.
///
/// # Errors
/// As clone(2).
pub fn spawn_server() -> Result<(), Errno> {
    let block = Block::new(server::actions())?;
    let start = (block.stack_top() - size_of::<Start>() as u64 - 64) & !63;
    // SAFETY: the block is new: nobody runs on its stack.
    unsafe { (start as *mut Start).write(Start::Server) };
    let flags = CLONE_VM
        | CLONE_FS
        | CLONE_FILES
        | CLONE_SIGHAND
        | CLONE_THREAD
        | CLONE_SYSVSEM
        | CLONE_CHILD_CLEARTID;
    // A signal that is sent to the process must not find a thread that takes none: the new one begins with
    // this mask.
    let mask = signal::set_mask(SignalSet::ALL);
    // SAFETY: `start` lies above the unused part of the stack.
    let result = unsafe { gate::clone(flags, start & !15, (0, block.alive.as_ptr() as u64), 0, start) };
    signal::set_mask(mask);
    result.map(drop)
}
