// Reads address 8 and dies by SIGSEGV.
#include "guest.h"
int main(void) {
    puts("null_read before");
    fflush(stdout);
    return *(volatile int *)(uintptr_t)8;
}
