// Address space by the terabyte, of which little is used: what the kernel's page tables take stays in
// proportion to that.
#include "guest.h"

#define TIB (1UL << 40)
// Natively a few dozen KiB. Something for each page of a tebibyte would be 2 GiB.
#define MOST_TABLES_KIB (32UL * 1024)

static unsigned long tables_kib(void) {
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status);
    char line[256];
    unsigned long kib = 0;
    while (fgets(line, sizeof line, status)) sscanf(line, "VmPTE: %lu kB", &kib);
    fclose(status);
    CHECK(kib > 0);
    return kib;
}

static unsigned char *reserve(int rights) {
    unsigned char *at = mmap(NULL, TIB, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED && tables_kib() < MOST_TABLES_KIB);
    return at;
}

// Touches a page of each of 64 stretches, 16 GiB apart.
static uint64_t touch(unsigned char *at, uint64_t sum) {
    for (size_t i = 0; i < 64; i++) {
        unsigned char *page = at + (i << 34) + i * PAGE;
        sum = mix(sum, *page);
        *page = (unsigned char)(i + 1);
    }
    for (size_t i = 0; i < 64; i++) sum = mix(sum, at[(i << 34) + i * PAGE]);
    CHECK(tables_kib() < MOST_TABLES_KIB);
    return sum;
}

int main(void) {
    // Nobody may touch it; parts are opened, closed and opened again with what was in them.
    unsigned char *closed = reserve(PROT_NONE);
    for (size_t i = 0; i < 32; i++) {
        unsigned char *part = closed + (i << 35);
        CHECK(mprotect(part, 64 * PAGE, PROT_READ | PROT_WRITE) == 0);
        memset(part, (int)i + 1, 16 * PAGE);
        CHECK(mprotect(part, 64 * PAGE, PROT_NONE) == 0 && mprotect(part, 64 * PAGE, PROT_READ | PROT_WRITE) == 0);
        for (size_t j = 0; j < 64; j++) CHECK(part[j * PAGE] == (j < 16 ? i + 1 : 0));
    }
    CHECK(tables_kib() < MOST_TABLES_KIB);
    unsigned char *open = reserve(PROT_READ | PROT_WRITE);
    uint64_t sum = touch(open, 1);
    CHECK(madvise(open, TIB, MADV_DONTNEED) == 0 && madvise(closed, TIB, MADV_DONTNEED) == 0);
    CHECK(tables_kib() < MOST_TABLES_KIB && open[0] == 0 && closed[0] == 0);
    sum = touch(open, sum);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        uint64_t own = touch(open, sum);
        CHECK(munmap(open, TIB) == 0 && tables_kib() < MOST_TABLES_KIB);
        _exit((int)(own & 63));
    }
    sum = mix(sum, (uint64_t)outcome_of(pid));
    CHECK(munmap(open, TIB) == 0 && munmap(closed, TIB) == 0);
    return finish("reservations", sum);
}
