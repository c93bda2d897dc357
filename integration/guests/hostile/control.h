// Attacks on what the runtime holds of the kernel: descriptors, dispatch, tracing, processor state.
#ifndef HOSTILE_CONTROL_H
#define HOSTILE_CONTROL_H
#include "own.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define MOST_DESCRIPTORS 70000

static int close_descriptors(void) {
    uint64_t *pattern = patterned(10);
    for (int fd = 3; fd < MOST_DESCRIPTORS; fd++) close(fd);
    for (int fd = 3; fd < MOST_DESCRIPTORS; fd++) dup2(0, fd);
    check_pattern(pattern, 10);
    for (int fd = 3; fd < MOST_DESCRIPTORS; fd++) dup3(0, fd, O_CLOEXEC);
    syscall(SYS_close_range, 3, ~0u, 2 /* unshare */);
    syscall(SYS_close_range, 3, ~0u, 4 /* close at exec */);
    syscall(SYS_close_range, 3, ~0u, 0);
    check_pattern(pattern, 10);
    return 0;
}

// What careful programs do before they execute another: it must not close what the other needs.
static int mark_descriptors(void) {
    for (int fd = 3; fd < MOST_DESCRIPTORS; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) execl("/proc/self/exe", "hostile", "alone", "nothing", (char *)0);
    CHECK(outcome_of(pid) == 0);
    return 0;
}

// Writes into whatever descriptors there are: the swap file and the control block of the run among them.
static int write_to_descriptors(void) {
    char *rubbish = fresh(64 * KIB);
    for (size_t i = 0; i < 64 * KIB; i++) rubbish[i] = (char)random_number();
    for (int fd = 3; fd < 5000; fd++) {
        if (fcntl(fd, F_GETFD) < 0) continue;
        for (int i = 0; i < 40; i++)
            if (pwrite(fd, rubbish, 64 * KIB, i * 64 * (long)KIB) < 0) break;
    }
    return 0;
}
static int cut_descriptors(void) {
    for (int fd = 3; fd < 5000; fd++) {
        if (fcntl(fd, F_GETFD) < 0) continue;
        (void)!ftruncate(fd, 0);
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 30);
    }
    return 0;
}

static int disable_dispatch(void) {
    uint64_t *pattern = patterned(11);
    for (int i = 0; i < 3; i++) CHECK(prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, i, 0, 0, 0) != 0);
    check_pattern(pattern, 11);
    return 0;
}

// A filter that leaves the program nothing but to write and to end, and so nothing that the pager lives by.
static int forbid_everything(void) {
    uint64_t *pattern = patterned(13);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 231, 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, 2, &program) == 0);
    for (int round = 0; round < 3; round++) check_pattern(pattern, 13);
    return 0;
}

// The 32-bit way into the kernel, whose calls have other numbers. 20 is getpid there.
static int call_as_32_bit(void) {
    int result = 20;
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    CHECK(result == getpid() || result == -ENOSYS);
    long wide = 0x40000000 + 39;
    asm volatile("syscall" : "+a"(wide) : : "memory", "rcx", "r11");
    CHECK(wide == getpid() || wide == -ENOSYS);
    return 0;
}

static int trace_itself(void) {
    uint64_t *pattern = patterned(12);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    ptrace(PTRACE_ATTACH, getpid(), 0, 0);
    ptrace(PTRACE_SEIZE, getpid(), 0, 0);
    check_pattern(pattern, 12);
    raise(SIGWINCH);
    return 0;
}

// Flags and registers that a program may set, and that the runtime must not trip over.
static void on_alarm(int number) { (void)number; }
static int odd_processor_state(void) {
    uint64_t *pattern = patterned(13);
    signal(SIGUSR1, on_alarm);
    // The alignment check is on while it pages, makes a call and takes a signal.
    asm volatile("pushfq\n orq $0x40000, (%%rsp)\n popfq" ::: "memory", "cc");
    volatile uint64_t sum = 0;
    for (size_t i = 0; i < PATTERN_BYTES / 8; i += 512) sum += pattern[i];
    long self = SYS_getpid;
    asm volatile("syscall" : "+a"(self) : : "rcx", "r11", "memory");
    long sent = SYS_kill;
    asm volatile("syscall" : "+a"(sent) : "D"(self), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
    asm volatile("pushfq\n andq $~0x40000, (%%rsp)\n popfq" ::: "memory", "cc");
    // Backwards.
    asm volatile("std" ::: "cc");
    long again = SYS_getpid;
    asm volatile("syscall" : "+a"(again) : : "rcx", "r11", "memory");
    asm volatile("cld" ::: "cc");
    CHECK(again == self);
    // All floating-point traps on.
    unsigned mxcsr, open = 0;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    asm volatile("ldmxcsr %0" ::"m"(open));
    for (size_t i = 0; i < PATTERN_BYTES / 8; i += 512) sum += pattern[i];
    asm volatile("ldmxcsr %0" ::"m"(mxcsr));
    syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, 0xffff800000000000);
    syscall(SYS_set_robust_list, 8, 24);
    syscall(SYS_set_tid_address, 8);
    check_pattern(pattern, 13);
    return 0;
}
#endif
