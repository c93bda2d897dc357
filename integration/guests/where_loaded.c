// Where the kernel puts a program and its heap: at its own address, where programs lie, or among mappings if it
// is a loader itself (position-independent and without an interpreter).
#include "guest.h"

extern char end[];

static const char *place(uintptr_t at) {
    if (at < 1UL << 32) return "low";
    return at >> 40 >= 0x7e ? "among mappings" : "where programs lie";
}

int main(void) {
    char *heap = sbrk(0);
    printf("code %s, heap %s\n", place((uintptr_t)&main), place((uintptr_t)heap));
    // Random: one time in thousands it is not.
    printf("the heap is apart: %d\n", (uintptr_t)heap - (uintptr_t)end > PAGE);
    fflush(stdout);
    // The dynamic linker executed by name is a loader.
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "LD_TRACE_LOADED_OBJECTS=1 /lib64/ld-linux-x86-64.so.2 /bin/true | grep -c 'ld-linux.*0x00007'", NULL);
        _exit(98);
    }
    printf("linker: %d\n", outcome_of(child));
    return finish("where_loaded", 0);
}
