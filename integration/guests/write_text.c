// Writes its own text and dies by SIGSEGV.
#include "guest.h"
int main(void) {
    puts("write_text before");
    fflush(stdout);
    *(volatile char *)(uintptr_t)&main = 1;
    puts("write_text after");
    return 0;
}
