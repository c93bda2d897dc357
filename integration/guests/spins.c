// Says its process id, then computes for ever: for a debugger to look at.
#include "guest.h"

static volatile unsigned long turns;
char word[] = "the word";

__attribute__((noinline)) void spin(void) {
    for (;;) turns++;
}

int main(void) {
    printf("%d\n", getpid());
    fflush(stdout);
    spin();
    return word[0];
}
