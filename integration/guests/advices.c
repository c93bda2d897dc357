// Which advice madvise takes at all: kernels differ in it, and their configurations.
#include "guest.h"

// Poisons memory of the machine.
#define HWPOISON 100
#define SOFT_OFFLINE 101
// Does so much that its outcome depends on what is free.
#define COLLAPSE 25

int main(void) {
    char *memory = fresh(4 * PAGE);
    memset(memory, 7, 4 * PAGE);
    for (int advice = 0; advice < 130; advice++) {
        if (advice == HWPOISON || advice == SOFT_OFFLINE || advice == COLLAPSE) continue;
        errno = 0;
        int taken = madvise(memory, PAGE, advice), why = errno;
        errno = 0;
        int empty = madvise(memory, 0, advice);
        printf("%d: %d %d, of nothing %d %d\n", advice, taken, why, empty, errno);
    }
    // Guards, where the kernel has them, as thread libraries lay them below a stack, falling back on
    // mprotect.
    if (madvise(memory + PAGE, PAGE, 102) != 0) CHECK(mprotect(memory + PAGE, PAGE, PROT_NONE) == 0);
    memset(memory + 2 * PAGE, 9, 2 * PAGE);
    printf("%d\n", memory[3 * PAGE]);
    return 0;
}
