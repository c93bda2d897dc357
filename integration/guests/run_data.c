// Jumps into a page of data that may not be executed and dies by SIGSEGV.
#include "guest.h"
int main(void) {
    puts("run_data before");
    fflush(stdout);
    unsigned char *at = fresh(PAGE);
    at[0] = 0xc3;
    ((void (*)(void))(uintptr_t)at)();
    puts("run_data after");
    return 0;
}
