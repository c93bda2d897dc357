//! Where signals arrive: faults, trapped system calls, and everything that comes from outside.
//!
//! A handler looks at where the thread was. In the program: act at once. In the runtime: a fault of the copy
//! instruction ends the copy; a signal from outside goes to the thread's inbox, and is delivered when the
//! thread leaves the runtime.

use core::sync::atomic::{AtomicU32, Ordering};

use pager_core::addr::VirtAddr;
use pager_core::area::Access;
use pager_core::shared::count;

use super::{end, frame, vsyscall};
use crate::arena;
use crate::calls;
use crate::clock;
use crate::control;
use crate::die;
use crate::gate;
use crate::keys;
use crate::lifeline;
use crate::paging;
use crate::process::trace::tracee;
use crate::remote::{serve, tell};
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::signal::{self, Action, MachineContext, SIGBUS, SIGSEGV, SigInfo, SignalSet, UContext};
use crate::thread::Block;
use crate::touch;
use pager_engine::work::Outcome;

/// A signal handler as the kernel calls it.
pub type Handler = unsafe extern "C" fn(i32, *mut SigInfo, *mut UContext);

/// Whether a fault of the runtime's own is being reported.
static LOST: AtomicU32 = AtomicU32::new(0);

/// Faults in a row on one resident page, by one instruction, before the runtime admits that it is lost.
const SPURIOUS_LIMIT: u32 = 1000;

/// The kernel's action that leads to `handler`.
pub fn kernel_action(handler: Handler, mask: SignalSet, extra: u64) -> Action {
    let flags = signal::SA_SIGINFO | signal::SA_ONSTACK | signal::SA_RESTORER | signal::SA_RESTART | extra;
    Action { handler: handler as *const () as u64, flags, restorer: gate::restorer(), mask }
}

/// Whether the thread was in the runtime. A program that jumps into its code still has a stack of its own.
fn in_runtime(context: &UContext) -> bool {
    gate::text().contains(&context.machine.rip) && arena::reserves(context.machine.rsp, 1)
}

/// What the kernel leaves on at a handler's entry though the program alone asked for it: the check for
/// alignment, and the nested-task flag, with which `iretq` faults.
fn leave_program_state(context: &UContext) {
    // SAFETY: a live field. Read as a whole: the compiler would read the two bytes that the flags lie in,
    // which are not aligned.
    let eflags = unsafe { (&raw const context.machine.eflags).read_volatile() };
    if eflags & signal::EFLAGS_PROGRAM_ALONE != 0 {
        gate::clear_program_flags();
    }
}

/// SIGSEGV and SIGBUS.
///
/// # Safety
/// Called by the kernel only.
pub unsafe extern "C" fn on_fault(number: i32, info: *mut SigInfo, context: *mut UContext) {
    // SAFETY: the kernel passes its own frame, which is ours until we return.
    let (info, context) = unsafe { (&*info, &mut *context) };
    leave_program_state(context);
    if super::poke::take(info) {
        return poked(info, context);
    }
    if lifeline::is_torn_by(info) {
        lifeline::end();
    }
    if info.is_sent() {
        return asynchronous(info, context);
    }
    if info.is_shown() {
        return after_tracer(info, context);
    }
    if in_runtime(context) {
        return runtime_fault(number, info, context);
    }
    if arena::reserves(context.machine.rsp, 1) {
        // On a stack of the runtime's, by code that is not, or that no longer knows itself.
        end::at_once();
    }
    if gate::text().contains(&context.machine.rip) {
        end::jumped_in(info, context);
    }
    let begin = clock::ticks();
    let block = Block::current();
    if vsyscall::emulate(block, info, context) {
        return;
    }
    let outcome = match page_fault(info, context) {
        Some(access) => {
            block.own().instruction = context.machine.rip;
            let outcome = touch::on_fault(VirtAddr(info.address()), access);
            block.own().instruction = 0;
            outcome
        }
        // Denied by a key, or no page fault: a non-canonical address, a segment violation, an alignment
        // check.
        None => Outcome::NotOurs,
    };
    let signal_info = match outcome {
        Outcome::Resolved => None,
        Outcome::Spurious => {
            spurious(block, info, context);
            None
        }
        Outcome::NoArea | Outcome::Guarded => {
            Some(SigInfo::fault(SIGSEGV, signal::SEGV_MAPERR, info.address()))
        }
        Outcome::Denied => Some(SigInfo::fault(SIGSEGV, signal::SEGV_ACCERR, info.address())),
        Outcome::Unreadable => Some(SigInfo::fault(SIGBUS, signal::BUS_ADRERR, info.address())),
        Outcome::NotOurs => Some(*info),
    };
    match signal_info {
        None => clock::record_fault(begin),
        Some(info) => {
            count(&control::counts().faults_program, 1);
            if !tracee::shows(block, &info) {
                frame::deliver_fault(block, context, &info);
            }
        }
    }
}

/// A fault of the program's that its tracer has seen, and lets through. One that arrives before the thread is
/// back in the program is let go: the instruction faults again.
fn after_tracer(info: &SigInfo, context: &mut UContext) {
    if !in_runtime(context) {
        frame::deliver_fault(Block::current(), context, &info.unmarked());
    }
}

/// Another process has something to say. The cap was lowered: keep to it now, unless the thread is in the
/// middle of something. Then the next fault will. Pages are wanted: bring them in; in the middle of
/// something, later, or when it is asked again.
fn poked(info: &SigInfo, context: &UContext) {
    if in_runtime(context)
        && gate::has_ended(context.machine.rip)
        && context.machine.rax == Errno::EINTR.as_return()
    {
        Block::current().own().cut_short = true;
    }
    let is_free = !in_runtime(context) || gate::waits_in_kernel(context.machine.rip);
    if let Some((page, number)) = info.inquiry() {
        // In the middle of something nothing is told: it is asked again.
        return if is_free {
            tell::answer(page, number)
        };
    }
    match info.request() {
        Some((request, number)) if is_free => serve::answer(&request, number),
        Some((request, number)) => serve::keep(&request, number),
        None if is_free => paging::keep_to_cap(),
        None => {}
    }
}

/// The kind of access, if the processor reported a page fault (trap 14) that is the runtime's to resolve.
fn page_fault(info: &SigInfo, context: &UContext) -> Option<Access> {
    if context.machine.trapno != frame::PAGE_FAULT || info.code == signal::SI_KERNEL || is_denied_by_key(info)
    {
        return None;
    }
    Some(access(&context.machine))
}

/// Whether the thread's protection keys deny the access. The kernel looks at them before it looks for the
/// page, so this is the program's own fault whether the page is there or not. Memory that may only be
/// executed has a key too, where the processor has keys.
fn is_denied_by_key(info: &SigInfo) -> bool {
    info.signo as u32 == SIGSEGV && info.code == signal::SEGV_PKUERR
}

fn access(machine: &MachineContext) -> Access {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    if machine.err & WRITE != 0 {
        Access::Write
    } else if machine.err & FETCH != 0 {
        Access::Execute
    } else {
        Access::Read
    }
}

fn runtime_fault(number: i32, info: &SigInfo, context: &mut UContext) {
    let (window, resume) = gate::copy_window();
    if window.contains(&context.machine.rip) {
        context.machine.rip = resume;
        return;
    }
    if LOST.swap(1, Ordering::SeqCst) != 0 {
        // To say so led to a fault as well.
        end::at_once();
    }
    die::internal(format_args!(
        "signal {number} at {:#x} in the runtime at {:#x}, stack {:#x}",
        info.address(),
        context.machine.rip,
        context.machine.rsp
    ));
}

fn spurious(block: &Block, info: &SigInfo, context: &UContext) {
    let own = block.own();
    let (addr, rip, times) = own.last_spurious;
    let same = addr == info.address() && rip == context.machine.rip;
    own.last_spurious = (info.address(), context.machine.rip, if same { times + 1 } else { 1 });
    if own.last_spurious.2 > SPURIOUS_LIMIT {
        let page = VirtAddr(info.address()).page();
        die::internal(format_args!(
            "endless fault at {:#x} by {:#x}, signal {} code {} err {:#x}: entry {:?}",
            info.address(),
            context.machine.rip,
            info.signo,
            info.code,
            context.machine.err,
            SPACE.table.existing(page).map(pager_core::table::EntryCell::load),
        ));
    }
}

/// SIGSYS: a system call of the program, or one that somebody sent.
///
/// # Safety
/// Called by the kernel only.
pub unsafe extern "C" fn on_call(_number: i32, info: *mut SigInfo, context: *mut UContext) {
    // SAFETY: as in `on_fault`.
    let (info, context) = unsafe { (&*info, &mut *context) };
    leave_program_state(context);
    if info.code == signal::SYS_USER_DISPATCH && !in_runtime(context) {
        if info.call_architecture() == signal::AUDIT_ARCH_X86_64 {
            let entered = keys::as_program(context);
            calls::dispatch(Block::current(), context);
            keys::note_changes(context, entered);
        } else {
            calls::refuse_foreign(Block::current(), context, info.call_architecture());
        }
    } else if info.is_sent() {
        asynchronous(info, context);
    } else if !in_runtime(context) {
        frame::deliver_fault(Block::current(), context, &info.unmarked());
    }
}

/// Any other signal for which the program has a handler.
///
/// # Safety
/// Called by the kernel only.
pub unsafe extern "C" fn on_asynchronous(_number: i32, info: *mut SigInfo, context: *mut UContext) {
    // SAFETY: as in `on_fault`.
    let (info, context) = unsafe { (&*info, &mut *context) };
    leave_program_state(context);
    if synchronous_elsewhere(info) && !in_runtime(context) {
        return frame::deliver_fault(Block::current(), context, info);
    }
    asynchronous(info, context);
}

/// SIGFPE, SIGILL and SIGTRAP raised by an instruction.
fn synchronous_elsewhere(info: &SigInfo) -> bool {
    let raised = [signal::SIGFPE, signal::SIGILL, signal::SIGTRAP].contains(&(info.signo as u32));
    raised && !info.is_sent()
}

fn asynchronous(info: &SigInfo, context: &mut UContext) {
    let block = Block::current();
    let info = info.received();
    if !in_runtime(context) {
        frame::deliver(block, context, &info);
        return;
    }
    block.inbox.push(info);
    // No second one until the first is delivered.
    context.mask = context.mask.union(SignalSet::ASYNCHRONOUS);
    gate::call_off(&mut context.machine);
    for (window, restart) in gate::leave_windows() {
        if window.contains(&context.machine.rip) {
            context.machine.rip = restart;
            // It may have been set for the program already.
            context.machine.eflags &= !signal::EFLAGS_NESTED_TASK;
        }
    }
}

/// Called on the way out with the frame that will be resumed: delivers what is in the inbox.
///
/// # Safety
/// Called from `gate` only, on the block's stack.
pub unsafe extern "C" fn deliver_queued(context: *mut UContext) {
    // SAFETY: `gate` passes the frame at the stack pointer.
    let context = unsafe { &mut *context };
    let block = Block::current();
    // Neither its registers nor its mask are those of a plain answer any more.
    context.link = 0;
    let mask = signal::set_mask(SignalSet::ASYNCHRONOUS);
    while let Some(info) = block.inbox.pop() {
        frame::deliver(block, context, &info);
    }
    block.own().temporary_mask = None;
    let _ = mask;
}
