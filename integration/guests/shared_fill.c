// Writes every page of a large file (or, with the argument `memfd`, of one in memory) through a shared
// mapping, in order and out of it.
#include "guest.h"

#define PAGES 8192UL

static int make(const char *kind) {
    char path[] = "/tmp/shared_fill.XXXXXX";
    int fd = strcmp(kind, "memfd") == 0 ? memfd_create("shared_fill", 0) : mkstemp(path);
    CHECK(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
    unlink(path);
    return fd;
}

int main(int count, char **arguments) {
    int fd = make(count > 1 ? arguments[1] : "file");
    uint64_t *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    for (uint64_t page = 0; page < PAGES; page++) map[page * 512 + page % 512] = mix(page, 1);
    for (uint64_t i = 0; i < PAGES; i++) {
        uint64_t page = i * 2049 % PAGES;
        map[page * 512 + (page + 1) % 512] = map[page * 512 + page % 512] + i;
    }
    // Long enough to be looked at with all of it mapped.
    usleep(100000);
    static uint64_t words[512];
    uint64_t sum = 0;
    for (uint64_t page = 0; page < PAGES; page++) {
        CHECK(pread(fd, words, PAGE, (off_t)(page * PAGE)) == (ssize_t)PAGE);
        CHECK(words[page % 512] == mix(page, 1));
        sum = mix(sum, words[(page + 1) % 512]);
    }
    return finish("shared_fill", sum);
}
