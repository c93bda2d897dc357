// Dies by SIGABRT.
#include "guest.h"
int main(void) {
    puts("aborts before");
    fflush(stdout);
    abort();
}
