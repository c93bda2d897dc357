// A system call changes rax, rcx and r11 and nothing else, also while signals rain: registers, flags, vector
// registers, the mask.
#include "guest.h"
#include <sys/syscall.h>
#include <sys/time.h>

enum { ROUNDS = 60000, KEPT = 11, CARRY = 1, DIRECTION = 1 << 10 };

struct state {
    uint64_t registers[KEPT], result, flags, vector[2];
};

// Makes getppid with every register that it has to keep derived from `seed`, under `flags`; what they are
// afterwards.
void call_with(uint64_t seed, uint64_t flags, struct state *after);
asm(".text\n"
    "call_with:\n"
    "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n    push %rdx\n"
    "    mov %rdi, %rax\n    mov %rsi, %rcx\n"
    "    lea 1(%rax), %rbx\n    lea 2(%rax), %rbp\n    lea 3(%rax), %rdx\n    lea 4(%rax), %rsi\n    lea 5(%rax), %rdi\n"
    "    lea 6(%rax), %r8\n    lea 7(%rax), %r9\n    lea 8(%rax), %r10\n    lea 9(%rax), %r12\n    lea 10(%rax), %r13\n"
    "    lea 11(%rax), %r14\n"
    "    movq %rax, %xmm13\n    punpcklqdq %xmm13, %xmm13\n"
    "    push %rcx\n    popfq\n"
    "    mov $110, %eax\n    syscall\n"
    "    pushfq\n    pop %rcx\n    cld\n"
    "    pop %r11\n"
    "    mov %rbx, (%r11)\n    mov %rbp, 8(%r11)\n    mov %rdx, 16(%r11)\n    mov %rsi, 24(%r11)\n    mov %rdi, 32(%r11)\n"
    "    mov %r8, 40(%r11)\n    mov %r9, 48(%r11)\n    mov %r10, 56(%r11)\n    mov %r12, 64(%r11)\n    mov %r13, 72(%r11)\n"
    "    mov %r14, 80(%r11)\n    mov %rax, 88(%r11)\n    mov %rcx, 96(%r11)\n    movdqu %xmm13, 104(%r11)\n"
    "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
    "    ret\n");

static volatile uint64_t ticks;

static void tick(int number) {
    (void)number;
    asm volatile("pcmpeqd %%xmm13, %%xmm13" ::: "xmm13");
    ticks++;
}

static void check_call(uint64_t seed, uint64_t flags) {
    struct state after;
    call_with(seed, flags, &after);
    for (uint64_t i = 0; i < KEPT; i++) CHECK(after.registers[i] == seed + i + 1);
    CHECK(after.result == (uint64_t)getppid());
    CHECK((after.flags & (CARRY | DIRECTION)) == flags);
    CHECK(after.vector[0] == seed && after.vector[1] == seed);
}

int main(void) {
    struct sigaction action = {.sa_handler = tick};
    sigset_t blocked, now;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && sigprocmask(SIG_SETMASK, &blocked, NULL) == 0);
    struct itimerval timer = {{0, 100}, {0, 100}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    for (uint64_t i = 0; i < ROUNDS; i++) check_call(mix(i, i), (i & 1 ? CARRY : 0) | (i & 2 ? DIRECTION : 0));
    CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0 && memcmp(&now, &blocked, 8) == 0);
    CHECK(ticks > 0);
    return finish("call_registers", ROUNDS);
}
