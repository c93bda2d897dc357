//! The assembly that calls up: the image's first instruction, what a new thread does first, and the way back
//! into the program, on which signals that are waiting are delivered. What is called by it stands above
//! everything; [`crate::gate`] has the rest.

use core::arch::global_asm;
use core::mem::offset_of;

use crate::gate::{ANSWERED, FP_SW_FEATURES};
use crate::sys::signal::{EFLAGS_NESTED_TASK, MachineContext, UContext};
use crate::thread::{BLOCK_BYTES, HEADER_BYTES, PENDING_OFFSET};

// The order of the registers in `pager_answered`.
const _: () = {
    assert!(offset_of!(MachineContext, r8) == 0 && offset_of!(MachineContext, r12) == 32);
    assert!(offset_of!(MachineContext, rdi) == 64 && offset_of!(MachineContext, rax) == 104);
    assert!(offset_of!(MachineContext, rsp) == 120 && offset_of!(MachineContext, rip) == 128);
    assert!(offset_of!(MachineContext, eflags) == 136 && offset_of!(MachineContext, selectors) == 144);
};

global_asm!(
    r#"
    .globl _start
    .type _start, @function
_start:
    xor ebp, ebp
    mov rdi, rsp
    and rsp, -16
    call {start}
    ud2

    .globl pager_leave
pager_leave:                    /* rsp: the ucontext to resume */
    mov rax, [rsp + 168]
    lea rcx, [rip + __text_start]
    cmp rax, rcx
    jb 2f
    lea rcx, [rip + __text_end]
    cmp rax, rcx
    jb 3f
2:  mov rcx, rsp
    and rcx, -{block}
    cmp dword ptr [rcx + {pending}], 0
    jne 4f
    cmp qword ptr [rsp + {link}], {answered}
    je pager_answered
3:  test dword ptr [rsp + {machine} + 136], {nested_task}
    jz 6f
    pushfq                      /* the kernel takes this flag from here, and not from the frame */
    or dword ptr [rsp], {nested_task}
    popfq
6:  mov eax, 15
    syscall
    ud2
4:  mov rdi, rsp
    call {deliver}
    jmp pager_leave

pager_answered:                 /* rsp: the ucontext of a call that has its result */
    mov rcx, [rsp + {machine} + {fpstate}]
    mov eax, [rcx + {fp_features}]
    mov edx, [rcx + {fp_features} + 4]
    xrstor64 [rcx]
    mov rax, [rsp + {machine} + 128]    /* what iretq takes, into the red zone: rip, cs, flags, rsp, ss */
    mov [rsp - 40], rax
    movzx eax, word ptr [rsp + {machine} + 144]
    mov [rsp - 32], rax
    mov rax, [rsp + {machine} + 136]
    mov [rsp - 24], rax
    mov rax, [rsp + {machine} + 120]
    mov [rsp - 16], rax
    movzx eax, word ptr [rsp + {machine} + 150]
    mov [rsp - 8], rax
    mov r8, [rsp + {machine}]
    mov r9, [rsp + {machine} + 8]
    mov r10, [rsp + {machine} + 16]
    mov r11, [rsp + {machine} + 24]
    mov r12, [rsp + {machine} + 32]
    mov r13, [rsp + {machine} + 40]
    mov r14, [rsp + {machine} + 48]
    mov r15, [rsp + {machine} + 56]
    mov rdi, [rsp + {machine} + 64]
    mov rsi, [rsp + {machine} + 72]
    mov rbp, [rsp + {machine} + 80]
    mov rbx, [rsp + {machine} + 88]
    mov rdx, [rsp + {machine} + 96]
    mov rax, [rsp + {machine} + 104]
    mov rcx, [rsp + {machine} + 112]
    lea rsp, [rsp - 40]
    .globl pager_return
pager_return:
    iretq
    .globl pager_return_again
pager_return_again:
    lea rsp, [rsp + 40]
    jmp pager_leave

    .globl pager_clone
pager_clone:                    /* (flags, stack, parent_tid, child_tid, tls, context) -> tid; the child calls child(context) */
    mov r10, rcx
    push rbx
    mov rbx, r9
    mov eax, 56
    syscall
    test rax, rax
    jz 5f
    pop rbx
    ret
5:  xor ebp, ebp
    mov rdi, rbx
    call {child}
    ud2
    "#,
    start = sym crate::start::start,
    deliver = sym crate::signals::deliver_queued,
    child = sym crate::process::child_entry,
    block = const BLOCK_BYTES,
    pending = const (BLOCK_BYTES - HEADER_BYTES + PENDING_OFFSET),
    link = const offset_of!(UContext, link),
    answered = const ANSWERED,
    nested_task = const EFLAGS_NESTED_TASK,
    machine = const offset_of!(UContext, machine),
    fpstate = const offset_of!(MachineContext, fpstate),
    fp_features = const FP_SW_FEATURES,
);
