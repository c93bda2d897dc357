//! The program's signal frames: made as the kernel makes them, on the program's stack, and taken back at
//! sigreturn.
//!
//! Source: arch/x86/kernel/signal_64.c and signal.c of Linux; the layout is ABI.

use core::arch::x86_64::__cpuid_count;

use pager_core::shared::count;

use super::{end, held};
use crate::control;
use crate::keys;
use crate::sys::Errno;
use crate::sys::signal::{
    self, Action, AltStack, FP_LEGACY_BYTES, FP_SW_BYTES, FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2,
};
use crate::sys::signal::{Frame, SIGSEGV, SigInfo, SignalSet, UC_STRICT_RESTORE_SS, UContext};
use crate::sys::task;
use crate::thread::{BackedUp, Block, Trap};
use crate::user;

const RED_ZONE: u64 = 128;
/// Carry to overflow, plus the alignment check and ID flags: what a program may set (`FIX_EFLAGS`).
const EFLAGS_PROGRAM: u64 = 0x0004_0dd5;
const EFLAGS_DIRECTION: u64 = 1 << 10;
const EFLAGS_TRAP: u64 = 1 << 8;
const EFLAGS_RESUME: u64 = 1 << 16;
/// Where FXRSTOR and XRSTOR take a state from, in bytes.
const FP_LEGACY_ALIGNMENT: u64 = 16;
const FP_EXTENDED_ALIGNMENT: u64 = 64;
/// The least state that the kernel takes for an extended one.
const FP_LEAST_EXTENDED: u32 = 576;
/// The header of the extended state, behind the first part.
const FP_HEADER_BYTES: usize = 64;
/// The x87 and SSE registers, which the first part holds.
const FP_LEGACY_FEATURES: u64 = 3;
/// Control word of the x87 and control register of SSE that a program starts with, and where the latter
/// stands.
const FIRST_FCW: u16 = 0x37f;
const FIRST_MXCSR: u32 = 0x1f80;
const MXCSR: usize = 24;
/// The processor's number for a page fault.
pub const PAGE_FAULT: u64 = 14;

/// Delivers a signal to the program: `context` then resumes in its handler. Default and ignored actions are
/// the kernel's.
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

/// Keeps a sent fault that is blocked: the kernel has let it in, as it does every one of them. Whether it is
/// one.
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
    if info.code == signal::SI_KERNEL && machine.trapno == PAGE_FAULT {
        // No fault of an instruction: the kernel could not restore the FPU state of the program's frame, and
        // has kept what it knew of the last fault.
        return force(block, context, info);
    }
    // The address register is of page faults only.
    let cr2 = if machine.trapno == PAGE_FAULT { machine.cr2 } else { own.last_trap.cr2 };
    own.last_trap = Trap { number: machine.trapno, error: machine.err, cr2 };
    force(block, context, info);
}

/// Delivers a signal that cannot be put off: one that is blocked, ignored or without a handler ends the
/// process.
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
        context.machine.rip += crate::call::SYSCALL_BYTES;
        context.machine.rax = Errno::EINTR.as_return();
    }
}

fn push(block: &'static Block, context: &mut UContext, info: &SigInfo, action: &Action) {
    let number = info.signo as u32;
    match write_frame(block, context, info, action) {
        Ok(frame) => {
            enter(block, context, number, action, frame);
            count(&control::counts().signals_delivered, 1);
        }
        // As the kernel: a frame that cannot be written is a fault of the program, not to be handled if it
        // was one already.
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
fn write_frame(
    block: &'static Block,
    context: &UContext,
    info: &SigInfo,
    action: &Action,
) -> Result<u64, Errno> {
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
    // As the kernel: of the last fault that became a signal, whatever signal this is. The runtime's own are
    // not seen.
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
    machine.enter_64_bit_code();
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
            let _ = signal::action(number, Some(&super::actions::unhandled(&reset)), None);
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
    // In the kernel's order: what is refused later finds the mask and the registers of the frame in place.
    set_mask(block, context, saved.mask.minus(SignalSet::UNBLOCKABLE));
    let ours = *context;
    context.machine = saved.machine;
    context.machine.fpstate = ours.machine.fpstate;
    context.machine.selectors = ours.machine.selectors;
    context.machine.take_segments(&saved.machine);
    context.flags = ours.flags & !UC_STRICT_RESTORE_SS | saved.flags & UC_STRICT_RESTORE_SS;
    context.machine.eflags = ours.machine.eflags & !EFLAGS_PROGRAM | saved.machine.eflags & EFLAGS_PROGRAM;
    restore_fp(&ours, &saved, context)?;
    block.own().alternate = saved.stack.checked().unwrap_or(block.own().alternate);
    Ok(())
}

/// Copies the program's FPU state into our frame, from where the kernel restores it, and which parts of it
/// are to be restored (`__fpu_restore_sig`, arch/x86/kernel/fpu/signal.c). Where the sizes are is the
/// kernel's: whatever the program has made of them, the frame on our stack stays as long as it is.
///
/// What only the processor refuses (reserved bits of MXCSR, of the header) it refuses when the kernel
/// restores our frame; the fault is then the program's, with its registers in place.
///
/// # Errors
/// EFAULT for state that cannot be read, or does not lie where the processor takes it from.
fn restore_fp(ours: &UContext, saved: &UContext, context: &mut UContext) -> Result<(), Errno> {
    let from = saved.machine.fpstate;
    if from == 0 {
        context.machine.fpstate = 0;
        return Ok(());
    }
    let room = fp_bytes(ours);
    // SAFETY: the kernel reserved `room` bytes there on our stack, above the frame.
    let into = unsafe { core::slice::from_raw_parts_mut(ours.machine.fpstate as *mut u8, room as usize) };
    let (legacy, extended) = into.split_at_mut((FP_LEGACY_BYTES as usize).min(room as usize));
    let own_words = FpWords::of(legacy);
    let taken = take_fp(from, own_words, legacy, extended);
    if taken.is_err() {
        // As the kernel, which then gives the thread the state that it began with.
        legacy[..FP_SW_BYTES as usize].fill(0);
        legacy[..2].copy_from_slice(&FIRST_FCW.to_ne_bytes());
        legacy[MXCSR..MXCSR + 4].copy_from_slice(&FIRST_MXCSR.to_ne_bytes());
        own_words.put(legacy);
        let header = extended.len().min(FP_HEADER_BYTES);
        extended[..header].fill(0);
    }
    taken
}

/// Reads the program's state at `from` into ours, whose words are `own_words`.
fn take_fp(from: u64, own_words: FpWords, legacy: &mut [u8], extended: &mut [u8]) -> Result<(), Errno> {
    user::read(from, legacy)?;
    let told = FpWords::of(legacy);
    let fits = told.state_bytes >= FP_LEAST_EXTENDED
        && told.state_bytes <= own_words.state_bytes
        && told.state_bytes <= told.extended_bytes;
    let is_extended = !extended.is_empty() && told.magic == FP_XSTATE_MAGIC1 && fits && {
        let end = user::read_value::<u32>(from.wrapping_add(told.state_bytes.into()))?;
        end == FP_XSTATE_MAGIC2
    };
    if !from.is_multiple_of(if is_extended { FP_EXTENDED_ALIGNMENT } else { FP_LEGACY_ALIGNMENT }) {
        return Err(Errno::EFAULT);
    }
    if is_extended {
        let (header, parts) = extended.split_at_mut(FP_HEADER_BYTES);
        user::read(from + FP_LEGACY_BYTES, header)?;
        let present = header.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
        // As the processor, which reads no further than to the end of the last part that it restores.
        let end = end_of_parts(present & told.features & own_words.features);
        let len = end.saturating_sub(FP_LEGACY_BYTES as usize + FP_HEADER_BYTES).min(parts.len());
        user::read(from + FP_LEGACY_BYTES + FP_HEADER_BYTES as u64, &mut parts[..len])?;
        FpWords { features: told.features, ..own_words }.put(legacy);
    } else if !extended.is_empty() {
        // As without the rest: all other parts in their first state.
        extended[..FP_HEADER_BYTES].fill(0);
        extended[..size_of::<u64>()].copy_from_slice(&FP_LEGACY_FEATURES.to_ne_bytes());
        FpWords { features: own_words.features | FP_LEGACY_FEATURES, ..own_words }.put(legacy);
    }
    Ok(())
}

/// Where the last of the parts named ends in an extended state that is not compacted.
fn end_of_parts(features: u64) -> usize {
    const EXTENDED_STATE: u32 = 0xd;
    let parts = (2..u64::BITS).filter(|part| features >> part & 1 != 0);
    let ends = parts.map(|part| {
        let told = __cpuid_count(EXTENDED_STATE, part);
        told.eax as usize + told.ebx as usize
    });
    ends.max().unwrap_or(0)
}

/// `struct _fpx_sw_bytes`, as far as it is used: what the kernel says in a frame about the state that it
/// holds.
#[derive(Clone, Copy)]
struct FpWords {
    magic: u32,
    /// Bytes of the state with [`FP_XSTATE_MAGIC2`] behind it.
    extended_bytes: u32,
    features: u64,
    /// Bytes of the state.
    state_bytes: u32,
}

impl FpWords {
    /// The words in the first part of a state.
    fn of(legacy: &[u8]) -> FpWords {
        let at = |offset: usize| {
            let word = &legacy[FP_SW_BYTES as usize + offset..][..4];
            u32::from_ne_bytes([word[0], word[1], word[2], word[3]])
        };
        let features = u64::from(at(8)) | u64::from(at(12)) << 32;
        FpWords { magic: at(0), extended_bytes: at(4), features, state_bytes: at(16) }
    }

    /// Puts them there.
    fn put(self, legacy: &mut [u8]) {
        let words = &mut legacy[FP_SW_BYTES as usize..];
        words[..4].copy_from_slice(&self.magic.to_ne_bytes());
        words[4..8].copy_from_slice(&self.extended_bytes.to_ne_bytes());
        words[8..16].copy_from_slice(&self.features.to_ne_bytes());
        words[16..20].copy_from_slice(&self.state_bytes.to_ne_bytes());
    }
}

/// Where a frame of the runtime's keeps what a child thread resumes with: copies `context` and its FPU state
/// below `top`.
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
