// Times its own faults: first touches of anonymous pages, of a private writable file mapping, and of a
// read-only one. Prints "kind nanoseconds-a-page". argv: file, pages (a power of two).
#include "guest.h"

enum { STRIDE = 7919 }; // integration/src/floor/mod.rs has the same

static void report(const char *kind, double from, size_t pages) { printf("%s %.1f\n", kind, (now_ns() - from) / (double)pages); }

static void write_touches(const char *kind, volatile unsigned char *at, size_t pages, size_t step) {
    double from = now_ns();
    for (size_t i = 0; i < pages; i++) at[i * step % pages * PAGE] = 1;
    report(kind, from, pages);
}

static void read_touches(const char *kind, const volatile unsigned char *at, size_t pages, size_t step) {
    double from = now_ns();
    for (size_t i = 0; i < pages; i++) (void)at[i * step % pages * PAGE];
    report(kind, from, pages);
}

static void *map(int fd, size_t pages, int protection) {
    void *at = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE, fd, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

int main(int argc, char **argv) {
    if (argc != 3) return 0;
    int fd = open(argv[1], O_RDONLY);
    size_t pages = strtoul(argv[2], NULL, 10);
    CHECK(fd >= 0 && pages > 0);
    write_touches("anonymous_sequential", fresh(pages * PAGE), pages, 1);
    write_touches("anonymous_scattered", fresh(pages * PAGE), pages, STRIDE);
    write_touches("private_file_scattered", map(fd, pages, PROT_READ | PROT_WRITE), pages, STRIDE);
    read_touches("file_sequential", map(fd, pages, PROT_READ), pages, 1);
    read_touches("file_scattered", map(fd, pages, PROT_READ), pages, STRIDE);
    return 0;
}
