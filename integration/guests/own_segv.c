// Handles its own SIGSEGV three ways: jump out, repair and return, skip the instruction.
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

enum how { JUMP, REPAIR, SKIP };
static volatile enum how how;
static sigjmp_buf out;
static char *volatile expected;
static volatile int hits, on_alternate, code;
static char *alternate;

static void handler(int number, siginfo_t *info, void *context) {
    char here;
    CHECK(number == SIGSEGV && (char *)info->si_addr == expected);
    on_alternate += &here >= alternate && &here < alternate + 64 * KIB;
    code = info->si_code;
    hits++;
    if (how == JUMP) siglongjmp(out, 1);
    if (how == REPAIR) {
        CHECK(mprotect((void *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE) == 0);
        return;
    }
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; // the two bytes of mov (%rax),%al
}

static void install(void) {
    alternate = malloc(64 * KIB);
    stack_t stack = {.ss_sp = alternate, .ss_size = 64 * KIB};
    CHECK(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
}

static void poke(char *at) {
    expected = at;
    *(volatile char *)at = 5;
}

static char skip(char *at) {
    expected = at;
    char result = 77;
    __asm__ volatile("movb $77, %%al\n\tmovb (%%rdx), %%al\n\tmov %%al, %0" : "=r"(result) : "d"(at), "a"(at) : "memory");
    return result;
}

int main(void) {
    install();
    uint64_t sum = 0;
    char *closed = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(closed != MAP_FAILED);
    how = JUMP;
    for (int i = 0; i < 100; i++) {
        if (sigsetjmp(out, 1) == 0) {
            poke(closed + PAGE * (unsigned)(i % 16) + 123);
            CHECK(!"a closed page was written");
        }
        CHECK(code == SEGV_ACCERR);
    }
    if (sigsetjmp(out, 1) == 0) poke((char *)16);
    CHECK(code == SEGV_MAPERR);
    sum = mix(sum, (uint64_t)hits);
    how = REPAIR;
    for (int i = 0; i < 16; i++) {
        poke(closed + PAGE * (unsigned)i + 9);
        CHECK(closed[PAGE * (unsigned)i + 9] == 5);
    }
    sum = mix(sum, (uint64_t)hits);
    CHECK(munmap(closed, 16 * PAGE) == 0);
    how = SKIP;
    CHECK(skip(closed + 3) == 77 && code == SEGV_MAPERR);
    sum = mix(sum, (uint64_t)hits);
    CHECK(on_alternate == hits);
    return finish("own_segv", sum);
}
