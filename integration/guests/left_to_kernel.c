// Memory that is the kernel's to page: of a device, and of huge pages, which nobody touches. With a number as its
// argument it has so many children as well, one after the other.
#include "guest.h"

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

int main(int count, char **arguments) {
    int zero = open("/dev/zero", O_RDWR);
    unsigned char *device = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    CHECK(zero >= 0 && device != MAP_FAILED && device[PAGE] == 0);
    // Without a reservation there need be no huge page.
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_HUGETLB | MAP_HUGE_2MB;
    CHECK(mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED);
    int children = count > 1 ? atoi(arguments[1]) : 0;
    for (int i = 0; i < children; i++) {
        pid_t child = fork();
        if (child == 0) _exit(i & 1);
        CHECK(outcome_of(child) == (i & 1));
    }
    return finish("left_to_kernel", (uint64_t)device[0]);
}
