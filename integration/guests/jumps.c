// setjmp and longjmp across deep frames, and coroutines by swapcontext on stacks from mmap.
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static jmp_buf home;
static void fall(int depth) {
    volatile char room[2000];
    room[depth % 2000] = 1;
    if (depth == 0) longjmp(home, 7);
    fall(depth - room[depth % 2000]);
}

static ucontext_t main_context, one, two;
static uint64_t trace;
static void coroutine(int id) {
    for (int i = 0; i < 50; i++) {
        volatile char room[5000];
        memset((void *)room, id, sizeof room);
        trace = mix(trace, (uint64_t)(id * 100 + i));
        CHECK(swapcontext(id == 1 ? &one : &two, id == 1 ? &two : &one) == 0);
        CHECK(room[4999] == id);
    }
}
static void prepare(ucontext_t *context, int id) {
    CHECK(getcontext(context) == 0);
    context->uc_stack = (stack_t){.ss_sp = fresh(64 * KIB), .ss_size = 64 * KIB};
    context->uc_link = &main_context;
    makecontext(context, (void (*)(void))(uintptr_t)coroutine, 1, id);
}

int main(void) {
    volatile int landed = 0;
    for (volatile int i = 0; i < 30; i++) {
        if (setjmp(home) == 7) landed++;
        else fall(200 + i);
    }
    CHECK(landed == 30);
    prepare(&one, 1);
    prepare(&two, 2);
    CHECK(swapcontext(&main_context, &one) == 0);
    return finish("jumps", trace);
}
