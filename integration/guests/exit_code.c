// Ends with exit code 42, after what atexit was asked to do.
#include "guest.h"
static void later(void) { puts("exit_code at exit"); }
int main(void) {
    CHECK(atexit(later) == 0);
    return 42;
}
