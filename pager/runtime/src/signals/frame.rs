//! The program's signal frames: made as the kernel makes them, on the program's stack, and taken back at sigreturn.
//!
//! Source: arch/x86/kernel/signal_64.c and signal.c of Linux; the layout is ABI.

use pager_core::shared::count;

use super::{end, held};
use crate::keys;
use crate::state;
use crate::sys::Errno;
use crate::sys::signal::{self, Action, AltStack, FP_LEGACY_BYTES, FP_SW_BYTES, FP_XSTATE_MAGIC1, Frame, SIGSEGV};
use crate::sys::signal::{SigInfo, SignalSet, UContext};
use crate::sys::task;
use crate::thread::{BackedUp, Block, Trap};
use crate::user;

const RED_ZONE: u64 = 128;
/// Carry to overflow, plus the alignment check and ID flags: what a program may set (`FIX_EFLAGS`).
const EFLAGS_PROGRAM: u64 = 0x0004_0dd5;
const EFLAGS_DIRECTION: u64 = 1 << 10;
const EFLAGS_TRAP: u64 = 1 << 8;
const EFLAGS_RESUME: u64 = 1 << 16;
/// The processor's number for a page fault.
pub const PAGE_FAULT: u64 = 14;

/// Delivers a signal to the program: `context` then resumes in its handler. Default and ignored actions are the kernel's.
pub fn deliver(block: &'static Block, context: &mut UContext, info: &SigInfo) {
    if keep_if_blocked(block, info) {
        return;
    }
    let action = block.own().actions().of(info.signo as u32);
    match action.handler {
        signal::SIG_IGN => {}
        signal::SIG_DFL => default_action(context, info),
        _ => {
            interrupt_call(context, &action);
            push(block, context, info, &action);
        }
    }
    block.own().backed_up = BackedUp::No;
}

/// The mask that decides what is let in now.
fn effective_mask(block: &'static Block) -> SignalSet {
    let own = block.own();
    own.temporary_mask.unwrap_or(own.mask)
}

/// Keeps a sent fault that is blocked: the kernel has let it in, as it does every one of them. Whether it is one.
pub fn keep_if_blocked(block: &'static Block, info: &SigInfo) -> bool {
    let number = info.signo as u32;
    let is_blocked = SignalSet::OURS.has(number) && effective_mask(block).has(number);
    if is_blocked {
        held::keep(block, info);
    }
    is_blocked
}

/// Whether a sent fault is one that the kernel would not have woken the program for.
pub fn is_without_effect(block: &'static Block, info: &SigInfo) -> bool {
    let number = info.signo as u32;
    let ignored = || match block.own().actions().of(number).handler {
        signal::SIG_IGN => true,
        signal::SIG_DFL => task::is_init(),
        _ => false,
    };
    SignalSet::OURS.has(number) && (effective_mask(block).has(number) || ignored())
}

/// Delivers a fault that the processor reported.
pub fn deliver_fault(block: &'static Block, context: &mut UContext, info: &SigInfo) {
    let machine = &context.machine;
    let own = block.own();
    // The address register is of page faults only.
    let cr2 = if machine.trapno == PAGE_FAULT { machine.cr2 } else { own.last_trap.cr2 };
    own.last_trap = Trap { number: machine.trapno, error: machine.err, cr2 };
    force(block, context, info);
}

/// Delivers a signal that cannot be put off: one that is blocked, ignored or without a handler ends the process.
pub fn force(block: &'static Block, context: &mut UContext, info: &SigInfo) {
    let number = info.signo as u32;
    let own = block.own();
    let action = own.actions().of(number);
    if action.handler <= signal::SIG_IGN || own.mask.has(number) {
        end::die_of(info, context);
    }
    push(block, context, info, &action);
}

/// The handler was reset between arrival and delivery: let the kernel do what it does by default.
fn default_action(context: &mut UContext, info: &SigInfo) {
    let number = info.signo as u32;
    if SignalSet::OURS.has(number) {
        // Nothing that is sent to the first process of a PID namespace ends it by default.
        if task::is_init() {
            return;
        }
        end::die_of(info, context);
    }
    let _ = signal::queue_to_thread(task::pid(), task::tid(), info);
}

/// A call was backed up to be made again; under a handler without SA_RESTART it fails with EINTR instead.
fn interrupt_call(context: &mut UContext, action: &Action) {
    let block = Block::current();
    if block.own().backed_up == BackedUp::UnlessHandled && action.flags & signal::SA_RESTART == 0 {
        context.machine.rip += crate::calls::SYSCALL_BYTES;
        context.machine.rax = Errno::EINTR.as_return();
    }
}

fn push(block: &'static Block, context: &mut UContext, info: &SigInfo, action: &Action) {
    let number = info.signo as u32;
    match write_frame(block, context, info, action) {
        Ok(frame) => {
            enter(block, context, number, action, frame);
            count(&state::counts().signals_delivered, 1);
        }
        // As the kernel: a frame that cannot be written is a fault of the program, not to be handled if it was one already.
        Err(_) if number == SIGSEGV => end::die_of(info, context),
        Err(_) => {
            let fault = SigInfo { signo: SIGSEGV as i32, code: signal::SI_KERNEL, ..SigInfo::ZERO };
            force(block, context, &fault);
        }
    }
}

/// Bytes of the FPU state in a frame of ours, and whether it is extended.
fn fp_bytes(context: &UContext) -> u64 {
    if context.machine.fpstate == 0 {
        return 0;
    }
    // SAFETY: the kernel put the FPU state above its frame on our stack.
    let sw = unsafe { ((context.machine.fpstate + FP_SW_BYTES) as *const [u32; 2]).read() };
    if sw[0] == FP_XSTATE_MAGIC1 { u64::from(sw[1]) } else { FP_LEGACY_BYTES }
}

/// The stack may have a key that the program denies itself, as where it takes a fault about that key.
fn write_frame(block: &'static Block, context: &UContext, info: &SigInfo, action: &Action) -> Result<u64, Errno> {
    let _keys = keys::open_all();
    let own = block.own();
    let fp = fp_bytes(context);
    let sp = frame_stack(&own.alternate, context.machine.rsp, action);
    // A stack pointer near zero wraps round, to where nothing can be written.
    let fp_addr = sp.wrapping_sub(fp) & !63;
    let frame_addr = (fp_addr.wrapping_sub(size_of::<Frame>() as u64) & !15).wrapping_sub(8);
    if on_alternate(&own.alternate, sp) && frame_addr < own.alternate.base {
        return Err(Errno::EFAULT);
    }
    let mut saved = *context;
    saved.machine.fpstate = if fp == 0 { 0 } else { fp_addr };
    saved.link = 0;
    saved.stack = own.alternate;
    saved.mask = own.mask;
    // As the kernel: of the last fault that became a signal, whatever signal this is. The runtime's own are not seen.
    saved.machine.oldmask = own.mask.0;
    saved.machine.trapno = own.last_trap.number;
    saved.machine.err = own.last_trap.error;
    saved.machine.cr2 = own.last_trap.cr2;
    let frame = Frame { return_address: action.restorer, context: saved, info: *info };
    // SAFETY: the FPU state lies on our stack for as long as the frame does.
    let fp_state = unsafe { core::slice::from_raw_parts(context.machine.fpstate as *const u8, fp as usize) };
    user::write(fp_addr, if fp == 0 { &[] } else { fp_state })?;
    // SAFETY: a structure of integers without padding.
    let bytes = unsafe { core::slice::from_raw_parts((&raw const frame).cast::<u8>(), size_of::<Frame>()) };
    user::write(frame_addr, bytes)?;
    Ok(frame_addr)
}

fn on_alternate(stack: &AltStack, sp: u64) -> bool {
    stack.flags & signal::SS_DISABLE == 0 && stack.holds(sp)
}

fn frame_stack(alternate: &AltStack, sp: u64, action: &Action) -> u64 {
    let wants = action.flags & signal::SA_ONSTACK != 0 && alternate.flags & signal::SS_DISABLE == 0;
    // Under SS_AUTODISARM being on the stack does not count.
    let is_on = alternate.flags & signal::SS_AUTODISARM == 0 && alternate.holds(sp);
    if wants && !is_on { alternate.base.wrapping_add(alternate.size) } else { sp.wrapping_sub(RED_ZONE) }
}

fn enter(block: &'static Block, context: &mut UContext, number: u32, action: &Action, frame: u64) {
    let own = block.own();
    let machine = &mut context.machine;
    machine.rdi = number.into();
    machine.rsi = frame + core::mem::offset_of!(Frame, info) as u64;
    machine.rdx = frame + core::mem::offset_of!(Frame, context) as u64;
    machine.rax = 0;
    machine.rsp = frame;
    machine.rip = action.handler;
    machine.eflags &= !(EFLAGS_DIRECTION | EFLAGS_RESUME | EFLAGS_TRAP);
    // A handler starts with fresh FPU state.
    machine.fpstate = 0;
    if own.alternate.flags & signal::SS_AUTODISARM != 0 {
        own.alternate = AltStack::NONE;
    }
    let under = own.temporary_mask.take().unwrap_or(own.mask);
    let mut mask = under.union(action.mask).minus(SignalSet::UNBLOCKABLE);
    if action.flags & signal::SA_NODEFER == 0 {
        mask = mask.with(number);
    }
    set_mask(block, context, mask);
    if action.flags & signal::SA_RESETHAND != 0 {
        let reset = Action { handler: signal::SIG_DFL, ..*action };
        block.own().actions().replace(number, reset);
        if !SignalSet::OURS.has(number) {
            let _ = signal::action(number, Some(&super::kernel_side(&reset)), None);
        }
    }
}

/// Sets the program's mask: what it believes, and what the kernel gets when the frame is resumed.
pub fn set_mask(block: &'static Block, context: &mut UContext, mask: SignalSet) {
    block.own().mask = mask;
    held::publish(block, mask);
    context.mask = mask.for_kernel();
}

/// rt_sigreturn: takes the frame at the program's stack pointer back.
pub fn sigreturn(block: &'static Block, context: &mut UContext) {
    let at = context.machine.rsp;
    if restore(block, context, at).is_err() {
        let fault = SigInfo { signo: SIGSEGV as i32, code: signal::SI_KERNEL, ..SigInfo::ZERO };
        force(block, context, &fault);
    }
}

fn restore(block: &'static Block, context: &mut UContext, at: u64) -> Result<(), Errno> {
    let mut bytes = [0u8; size_of::<UContext>()];
    user::read(at, &mut bytes)?;
    // SAFETY: any bytes make a UContext.
    let saved: UContext = unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast()) };
    let ours = *context;
    restore_fp(&ours, &saved, context)?;
    let fpstate = context.machine.fpstate;
    context.machine = saved.machine;
    context.machine.fpstate = fpstate;
    context.machine.selectors = ours.machine.selectors;
    context.machine.eflags = ours.machine.eflags & !EFLAGS_PROGRAM | saved.machine.eflags & EFLAGS_PROGRAM;
    block.own().alternate = super::calls::checked_stack(&saved.stack).unwrap_or(block.own().alternate);
    set_mask(block, context, saved.mask.minus(SignalSet::UNBLOCKABLE));
    Ok(())
}

/// Copies the program's FPU state into our frame, from where the kernel restores it.
fn restore_fp(ours: &UContext, saved: &UContext, context: &mut UContext) -> Result<(), Errno> {
    let from = saved.machine.fpstate;
    if from == 0 {
        context.machine.fpstate = 0;
        return Ok(());
    }
    let room = fp_bytes(ours);
    let mut sw = [0u8; 8];
    user::read(from.wrapping_add(FP_SW_BYTES), &mut sw)?;
    let magic = u32::from_le_bytes([sw[0], sw[1], sw[2], sw[3]]);
    let size = u64::from(u32::from_le_bytes([sw[4], sw[5], sw[6], sw[7]]));
    let bytes = if magic == FP_XSTATE_MAGIC1 && size <= room { size } else { FP_LEGACY_BYTES.min(room) };
    // SAFETY: the kernel reserved `room` bytes there on our stack, above the frame.
    let into = unsafe { core::slice::from_raw_parts_mut(ours.machine.fpstate as *mut u8, bytes as usize) };
    user::read(from, into)
}

/// Where a frame of the runtime's keeps what a child thread resumes with: copies `context` and its FPU state below `top`.
///
/// # Safety
/// 1. `top` is the top of unused stack memory in a block that no thread runs on.
pub unsafe fn copy_below(top: u64, context: &UContext) -> *mut UContext {
    let fp = fp_bytes(context);
    let fp_addr = (top - fp) & !63;
    let at = ((fp_addr - size_of::<Frame>() as u64) & !15) as *mut UContext;
    // SAFETY: 1, by the caller; source and target are in different blocks.
    unsafe {
        core::ptr::copy_nonoverlapping(context.machine.fpstate as *const u8, fp_addr as *mut u8, fp as usize);
        at.write(*context);
        (*at).machine.fpstate = if fp == 0 { 0 } else { fp_addr };
    }
    at
}
