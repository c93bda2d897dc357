// Endless recursion ends in a SIGSEGV that a handler on its own stack turns into exit code 7.
#include "guest.h"

static void overflowed(int number) {
    (void)number;
    static const char text[] = "stack_overflow caught\n";
    CHECK(write(1, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    _exit(7);
}
#pragma GCC diagnostic ignored "-Winfinite-recursion"
static uint64_t endless(uint64_t depth) {
    volatile char room[2000];
    room[depth % sizeof room] = (char)depth;
    return endless(depth + 1) + (uint64_t)room[0];
}

int main(void) {
    stack_t stack = {.ss_sp = malloc(64 * KIB), .ss_size = 64 * KIB};
    CHECK(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = overflowed, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    return (int)endless(0);
}
