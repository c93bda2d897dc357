/* First touches of pages of a mapped file, in random order, each timed.  faults FILE MILLISECONDS
 * Prints: touches, their mean and their median in nanoseconds. In C, since touching a mapping is unsafe in Rust. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    struct stat seen;
    int file = open(argv[1], O_RDONLY);
    if (file < 0 || fstat(file, &seen)) return perror(argv[1]), 1;
    /* All pages of earlier rounds go, so that each touch is a request. */
    if (posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)) return fputs("the page cache stays\n", stderr), 1;
    uint64_t pages = seen.st_size / PAGE, limit = (uint64_t)atoi(argv[2]) * 1000000u;
    const volatile char *map = mmap(NULL, seen.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (map == MAP_FAILED) return perror("mmap"), 1;
    madvise((void *)map, seen.st_size, MADV_RANDOM);
    uint32_t *took = malloc(pages * sizeof *took);
    uint64_t begin = now(), before = begin, count = 0;
    /* A stride that shares no divisor with the number of pages meets each page once. */
    for (uint64_t page = 12345 % pages; count < pages && before - begin < limit; count++) {
        (void)map[page * PAGE];
        uint64_t after = now();
        took[count] = after - before;
        before = after;
        page = (page + 40503) % pages;
    }
    qsort(took, count, sizeof *took, ascending);
    printf("%lu %lu %u\n", count, (before - begin) / count, took[count / 2]);
    return 0;
}
