// 32-bit code in a 64-bit program, by a far call, as Wine runs 32-bit Windows programs: pages that come in
// there, faults of its own, signals that interrupt it, and a death. Handlers are 64-bit code.
#include "guest.h"
#include <sys/time.h>
#include <ucontext.h>

#define CODE_32 0x23
#define DATA 0x2b
#define PAGES 64

static char *low, *closed;
static volatile int interrupted;

static void *below_4_gib(size_t length, int protection) {
    void *at = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

// Calls 32-bit code with `argument` in ebx, on a stack of its own, by way of code in low memory that it can
// return to; what it leaves in eax.
static uint32_t call_32(const void *code, const void *argument, char *stack) {
    struct __attribute__((packed)) {
        uint32_t offset;
        uint16_t selector;
    } target = {(uint32_t)(uintptr_t)code, CODE_32};
    memcpy(low, &target, sizeof target);
    uint32_t result;
    asm volatile("mov %[data], %%ecx; mov %%cx, %%ds; mov %%cx, %%es; mov %%rsp, %%r15; mov %%rdi, %%rsp;"
                 "call *%%rsi; mov %%r15, %%rsp"
                 : "=a"(result)
                 : "a"(low), "b"(argument), "D"(stack), "S"(low + 64), [data] "i"(DATA)
                 : "rcx", "rdx", "r8", "r9", "r10", "r11", "r15", "memory", "cc");
    return result;
}

static unsigned code_segment(void) {
    unsigned short segment;
    asm("mov %%cs, %0" : "=r"(segment));
    return segment;
}

static void on_signal(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    unsigned there = registers[REG_CSGSFS] & 0xffff;
    if (number == SIGALRM) {
        interrupted += there == CODE_32;
        return;
    }
    printf("signal %d code %d, by %x, handled by %x, at the closed page %d\n", number, info->si_code, there, code_segment(), info->si_addr == closed);
    if (number == SIGSEGV) CHECK(mprotect(closed, PAGE, PROT_READ | PROT_WRITE) == 0);
    else registers[REG_RIP] += 2;
}

int main(void) {
    // xor eax, eax; mov ecx, 64; again: add eax, [ebx]; add dword [ebx], 7; add ebx, 4096; dec ecx; jnz again; retf
    static const unsigned char sum[] = {0x31, 0xc0, 0xb9, PAGES, 0, 0, 0, 0x03, 0x03, 0x83, 0x03, 7, 0x81, 0xc3, 0, 0x10, 0, 0, 0x49, 0x75, 0xf2, 0xcb};
    // mov eax, 5; mov [ebx], eax; mov eax, [ebx]; add eax, 1; retf
    static const unsigned char store[] = {0xb8, 5, 0, 0, 0, 0x89, 0x03, 0x8b, 0x03, 0x83, 0xc0, 1, 0xcb};
    // mov eax, 9; ud2; inc eax; retf
    static const unsigned char undefined[] = {0xb8, 9, 0, 0, 0, 0x0f, 0x0b, 0x40, 0xcb};
    // mov ecx, ebx; again: dec ecx; jnz again; mov eax, 3; retf
    static const unsigned char loop[] = {0x89, 0xd9, 0x49, 0x75, 0xfd, 0xb8, 3, 0, 0, 0, 0xcb};
    low = below_4_gib(8 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    closed = below_4_gib(PAGE, PROT_NONE);
    char *data = below_4_gib(PAGES * PAGE, PROT_READ | PROT_WRITE);
    char *stack = (char *)below_4_gib(64 * PAGE, PROT_READ | PROT_WRITE) + 60 * PAGE;
    // lcall *(%rax); ret
    memcpy(low + 64, "\xff\x18\xc3", 3);
    memcpy(low + PAGE, sum, sizeof sum);
    // Across a page's end.
    memcpy(low + 3 * PAGE - 7, store, sizeof store);
    memcpy(low + 4 * PAGE, undefined, sizeof undefined);
    memcpy(low + 5 * PAGE, loop, sizeof loop);

    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGILL, &action, NULL) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    for (int i = 0; i < 2; i++) printf("the pages' sum is %u\n", call_32(low + PAGE, data, stack));
    printf("stored %u\n", call_32(low + 3 * PAGE - 7, closed, stack));
    printf("went on with %u\n", call_32(low + 4 * PAGE, NULL, stack));
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (interrupted < 3) CHECK(call_32(low + 5 * PAGE, (void *)2000000UL, stack) == 3);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        call_32(low + 3 * PAGE - 7, (void *)64UL, stack);
        _exit(0);
    }
    CHECK(outcome_of(child) == 1000 + SIGSEGV);
    return finish("segments", 0);
}
