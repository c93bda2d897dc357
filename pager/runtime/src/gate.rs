//! The assembly: where threads come into the runtime and leave it, and the two instructions that may be
//! interrupted or fault on purpose.
//!
//! Three stretches of code are known by address to the signal handlers in [`crate::signals::arrive`]:
//! - `copy`: one `rep movsb` between the program's memory and ours. A fault in it ends the copy early.
//! - `interruptible`: from the look at the thread's inbox to the `syscall` instruction. A signal that arrives
//!   in between, or that makes the kernel back up to the instruction, sends the thread to an abort label: no
//!   signal is lost between the check and the call (qemu's safe_syscall). Which of the two it was decides
//!   what the program sees: rcx is zero until `syscall` puts the address behind itself there.
//! - `leave`: from the look at the inbox to `rt_sigreturn` or `iretq`. A signal that arrives in between
//!   starts it over.
//!
//! A plain answered call leaves by `iretq`, without `rt_sigreturn`: its mask was never changed
//! (`docs/decisions/0005-answers-without-sigreturn.md`).

use core::arch::global_asm;
use core::ops::Range;

use crate::call::SYSCALL_BYTES;
use crate::keys;
use crate::sys::Errno;
use crate::sys::signal::{EFLAGS_ALIGNMENT, EFLAGS_PROGRAM_ALONE};
use crate::sys::signal::{FP_SW_BYTES, FP_XSTATE_MAGIC1, MachineContext, UContext};

/// What stands in a context's `uc_link`, which the kernel leaves at zero, when it can be left without
/// `rt_sigreturn`.
pub const ANSWERED: u64 = 1;
/// Where in the FPU state the kernel says which features it holds.
pub const FP_SW_FEATURES: u64 = FP_SW_BYTES + 8;

global_asm!(
    r#"
    .globl pager_copy
pager_copy:                     /* (to, from, len) -> bytes not copied */
    mov rcx, rdx
    cld
    .globl pager_copy_begin
pager_copy_begin:
    rep movsb
    .globl pager_copy_end
pager_copy_end:
    mov rax, rcx
    ret

    .globl pager_interruptible
pager_interruptible:            /* (number, args, pending) -> result, -ERESTARTSYS or -ERESTARTNOINTR */
    push rbx
    mov rbx, rdx
    mov rax, rdi
    mov r11, rsi
    mov rdi, [r11]
    mov rsi, [r11 + 8]
    mov rdx, [r11 + 16]
    mov r10, [r11 + 24]
    mov r8, [r11 + 32]
    mov r9, [r11 + 40]
    xor ecx, ecx
    .globl pager_interruptible_begin
pager_interruptible_begin:
    cmp dword ptr [rbx], 0
    jne pager_interruptible_abort
    .globl pager_interruptible_call
pager_interruptible_call:
    syscall
    .globl pager_interruptible_end
pager_interruptible_end:
    pop rbx
    ret
    .globl pager_interruptible_abort
pager_interruptible_abort:      /* the kernel had not begun */
    mov rax, -513
    pop rbx
    ret
    .globl pager_interruptible_backed_up
pager_interruptible_backed_up:  /* it had, and asks for the call to be made again */
    mov rax, -512
    pop rbx
    ret

    .globl pager_resume
pager_resume:                   /* (ucontext) */
    mov rsp, rdi
    jmp pager_leave

    .globl pager_on_stack
pager_on_stack:                 /* (stack, function, argument) */
    mov rsp, rdi
    mov rdi, rdx
    xor ebp, ebp
    call rsi
    ud2

    .globl pager_enter
pager_enter:                    /* (stack pointer, instruction pointer): the program's first instruction */
    mov rsp, rdi
    mov rcx, rsi
    xor eax, eax
    xor ebx, ebx
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor ebp, ebp
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    jmp rcx
    "#
);

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static pager_copy_begin: u8;
    static pager_copy_end: u8;
    static pager_interruptible_begin: u8;
    static pager_interruptible_call: u8;
    static pager_interruptible_end: u8;
    static pager_interruptible_abort: u8;
    static pager_interruptible_backed_up: u8;
    static pager_return: u8;
    static pager_return_again: u8;
    fn pager_copy(to: u64, from: u64, len: u64) -> u64;
    fn pager_interruptible(number: u64, args: *const u64, pending: *const u32) -> i64;
    fn pager_leave();
    fn pager_resume(context: *mut UContext) -> !;
    fn pager_clone(flags: u64, stack: u64, parent_tid: u64, child_tid: u64, tls: u64, context: u64) -> i64;
    fn pager_on_stack(stack: u64, function: u64, argument: u64) -> !;
    fn pager_enter(stack: u64, instruction: u64) -> !;
}

/// Addresses of the runtime's code: what is not trapped, and what a signal finds the runtime in.
pub fn text() -> Range<u64> {
    &raw const __text_start as u64..&raw const __text_end as u64
}

/// Where the copy instruction may fault, and where it then goes on.
pub fn copy_window() -> (Range<u64>, u64) {
    let end = &raw const pager_copy_end as u64;
    (&raw const pager_copy_begin as u64..end, end)
}

/// Calls off an interruptible call that the kernel has not begun, or has backed up.
pub fn call_off(machine: &mut MachineContext) {
    let call = &raw const pager_interruptible_call as u64;
    let began = || machine.rcx == &raw const pager_interruptible_end as u64 || !syscall_marks_rcx();
    if machine.rip == call && began() {
        machine.rip = &raw const pager_interruptible_backed_up as u64;
    } else if (&raw const pager_interruptible_begin as u64..=call).contains(&machine.rip) {
        machine.rip = &raw const pager_interruptible_abort as u64;
    }
}

/// Not on processors that enter the kernel by FRED: there a call that was never begun cannot be told from one
/// that was backed up.
fn syscall_marks_rcx() -> bool {
    let mark: u64;
    // SAFETY: getpid touches no memory.
    unsafe {
        core::arch::asm!(
            "syscall", inlateout("rax") crate::sys::nr::GETPID => _, inlateout("rcx") 0u64 => mark, lateout("r11") _,
            options(nostack),
        );
    }
    mark != 0
}

/// Whether a thread of the runtime that was interrupted at `rip` was in an interruptible call, where it holds
/// nothing.
pub fn waits_in_kernel(rip: u64) -> bool {
    let call = &raw const pager_interruptible_call as u64;
    (call..=call + SYSCALL_BYTES).contains(&rip)
}

/// Whether it was at the end of an interruptible call, whose result it has not looked at yet.
pub fn has_ended(rip: u64) -> bool {
    rip == &raw const pager_interruptible_end as u64
}

/// Where a thread on its way out has to look again, and where it then starts over.
pub fn leave_windows() -> [(Range<u64>, u64); 2] {
    let (start, last) = (pager_leave as *const () as u64, &raw const pager_return as u64);
    [(start..last, start), (last..last + 1, &raw const pager_return_again as u64)]
}

/// Says that `context` is that of a call with its result in place, and otherwise as the kernel made it:
/// neither its mask nor its stack changed.
pub fn answered(context: &mut UContext) {
    let fp = context.machine.fpstate;
    if fp == 0 {
        return;
    }
    // SAFETY: the kernel put the FPU state above its frame on our stack.
    let is_extended = unsafe { ((fp + FP_SW_BYTES) as *const u32).read() } == FP_XSTATE_MAGIC1;
    // The frame is read on after its state is restored.
    if is_extended && keys::leave_runtime_open(context) {
        context.link = ANSWERED;
    }
}

/// The `sa_restorer` of our handlers, and of the program's frames.
pub fn restorer() -> u64 {
    pager_leave as *const () as u64
}

/// Turns the check for alignment and the nested-task flag off for this thread, until the program's flags are
/// restored.
pub fn clear_program_flags() {
    const KEPT: i32 = !(EFLAGS_PROGRAM_ALONE as i32);
    // SAFETY: changes two flags of this thread; the two pushes and pops are balanced.
    unsafe { core::arch::asm!("pushfq", "and dword ptr [rsp], {}", "popfq", const KEPT) };
}

/// Has the processor raise SIGBUS.
pub fn access_unaligned() {
    const ALIGNMENT: i32 = EFLAGS_ALIGNMENT as i32;
    // SAFETY: reads from the stack, and changes one flag of this thread for as long; the pushes and pops are
    // balanced.
    unsafe {
        core::arch::asm!(
            "pushfq", "or dword ptr [rsp], {alignment}", "popfq", "mov {read:e}, [rsp - 31]", "pushfq",
            "and dword ptr [rsp], {rest}", "popfq",
            alignment = const ALIGNMENT, rest = const !ALIGNMENT, read = out(reg) _,
        );
    }
}

/// Copies between the program's memory and ours; the bytes that could be copied before a fault.
///
/// # Safety
/// 1. The side that is ours is live memory of `len` bytes, and writable where it is `to`.
/// 2. The program's side is memory of the program (any address is allowed: a fault ends the copy).
pub unsafe fn copy(to: u64, from: u64, len: u64) -> u64 {
    // SAFETY: 1 and 2, by the caller.
    len - unsafe { pager_copy(to, from, len) }
}

/// Makes a call that a signal may interrupt: ERESTARTNOINTR if one came before the kernel began, ERESTARTSYS
/// if the kernel wants the call made again after one.
///
/// # Safety
/// As [`crate::sys::syscall`].
pub unsafe fn interruptible(number: u64, args: &[u64; 6], pending: *const u32) -> Result<u64, Errno> {
    // SAFETY: by the caller; `pending` is the thread's own inbox counter.
    let raw = unsafe { pager_interruptible(number, args.as_ptr(), pending) };
    crate::sys::check(raw)
}

/// Goes back to the program (or to the interrupted part of the runtime) as the frame says.
///
/// # Safety
/// 1. `context` lies in a frame on the current thread's block with valid FPU state, and nothing above the
///    frame is needed any more.
pub unsafe fn resume(context: *mut UContext) -> ! {
    // SAFETY: 1, by the caller.
    unsafe { pager_resume(context) }
}

/// Clones a thread or process onto a stack of the runtime; the child runs `child_entry(context)`.
///
/// # Safety
/// 1. `stack` is the 16-aligned top of unused stack memory in a block of its own.
/// 2. `context` means what `child_entry` expects.
pub unsafe fn clone(
    flags: u64,
    stack: u64,
    (parent_tid, child_tid): (u64, u64),
    tls: u64,
    context: u64,
) -> Result<u64, Errno> {
    // SAFETY: 1 and 2, by the caller.
    crate::sys::check(unsafe { pager_clone(flags, stack, parent_tid, child_tid, tls, context) })
}

/// Goes on in `function` on another stack.
///
/// # Safety
/// 1. `stack` is the 16-aligned top of unused memory.
/// 2. `argument` means what `function` expects.
pub unsafe fn on_stack(stack: u64, function: unsafe extern "C" fn(u64) -> !, argument: u64) -> ! {
    // SAFETY: 1 and 2, by the caller.
    unsafe { pager_on_stack(stack, function as *const () as u64, argument) }
}

/// Starts the program.
///
/// # Safety
/// 1. Both addresses are the program's.
pub unsafe fn enter(stack: u64, instruction: u64) -> ! {
    // SAFETY: 1, by the caller; system calls are trapped from here on.
    unsafe { pager_enter(stack, instruction) }
}
