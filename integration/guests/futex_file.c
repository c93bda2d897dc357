// Futexes of every kind of mapping of a file, readable or not, written to before or not: waited for with
// another value than is there, and woken.
#include "guest.h"
#include <fcntl.h>
#include <sys/syscall.h>

#define PAGES 4

static uint64_t told;

static void tell(long result) { told = told * 31 + (uint64_t)(result == -1 ? 1000 + errno : result); }

static void ask(char *word, int operation, unsigned value) {
    tell(syscall(SYS_futex, word, operation, value, NULL, NULL, ~0u));
}

int main(void) {
    char path[64];
    snprintf(path, sizeof path, "futex-file-%d", (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && unlink(path) == 0);
    char page[4096];
    memset(page, 7, sizeof page);
    for (int n = 0; n < PAGES; n++) CHECK(write(fd, page, sizeof page) == sizeof page);
    // Without leave to read, the kernel's answer depends on whether it happens to have the page in its
    // tables.
    for (int protection = 1; protection < 8; protection += 2)
        for (int flags = MAP_SHARED; flags <= MAP_PRIVATE; flags++)
            for (int written = 0; written < 2; written++) {
                char *map = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
                CHECK(map != MAP_FAILED);
                if (written) map[4096] = (char)(7 + flags);
                CHECK(mprotect(map, PAGES * 4096, protection) == 0);
                for (int n = 0; n < PAGES; n++)
                    for (int private = 0; private <= 128; private += 128) {
                        ask(map + n * 4096 + 128, 0 | private, 0xfeedf00d);
                        ask(map + n * 4096 + 128, 1 | private, 1);
                        ask(map + n * 4096 + 128, 9 | private, 0xfeedf00d);
                        ask(map + n * 4096 + 128, 10 | private, 1);
                    }
                CHECK(munmap(map, PAGES * 4096) == 0);
            }
    return finish("futex_file", told);
}
