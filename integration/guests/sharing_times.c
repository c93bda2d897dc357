// Times what programs share: a mapped file that is written to (as LMDB does, in both of its ways), forks of a
// process with huge reservations, and record locks among many processes. Prints "kind nanoseconds".
#include "guest.h"

enum { FILE_MIB = 64, COMMITS = 200, STORES = 64, FORKS = 100, RESERVATIONS = 16, LOCKERS = 16, LOCKINGS = 500 };

static void report(const char *kind, double from) { printf("%s %.0f\n", kind, now_ns() - from); }

static int scratch_file(size_t length) {
    char name[] = "/tmp/sharing_times.XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0 && ftruncate(file, (off_t)length) == 0);
    return file;
}

// Random pages of a file are stored to through a mapping, and handed to the disk's queue at each commit.
static void stores_to_a_map(void) {
    size_t length = FILE_MIB * MIB;
    int file = scratch_file(length);
    double from = now_ns();
    char *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(map != MAP_FAILED);
    uint64_t at = 1;
    for (int commit = 0; commit < COMMITS; commit++) {
        for (int i = 0; i < STORES; i++) {
            at = mix(at, (uint64_t)i);
            memset(map + at % (length / PAGE) * PAGE, commit, 64);
        }
        CHECK(msync(map, length, MS_ASYNC) == 0);
    }
    CHECK(munmap(map, length) == 0);
    report("mapped file: stores and msync", from);
    CHECK(close(file) == 0);
}

// Random pages of a file are read through a mapping, changed in memory and written back by pwrite.
static void writes_under_a_map(void) {
    size_t length = FILE_MIB * MIB;
    int file = scratch_file(length);
    double from = now_ns();
    const char *map = mmap(NULL, length, PROT_READ, MAP_SHARED, file, 0);
    char *page = malloc(PAGE);
    CHECK(map != MAP_FAILED && page != NULL);
    uint64_t at = 1;
    for (int commit = 0; commit < COMMITS; commit++) {
        for (int i = 0; i < STORES; i++) {
            at = mix(at, (uint64_t)i);
            size_t offset = at % (length / PAGE) * PAGE;
            memcpy(page, map + offset, PAGE);
            page[i] ^= (char)commit;
            CHECK(pwrite(file, page, PAGE, (off_t)offset) == PAGE);
        }
    }
    free(page);
    CHECK(munmap((void *)map, length) == 0);
    report("mapped file: reads and pwrite", from);
    CHECK(close(file) == 0);
}

// Reservations of a TiB each, of which a few pages are used, as garbage collectors and sanitizers have them.
static void forks_with_reservations(void) {
    char *reserved[RESERVATIONS];
    for (int i = 0; i < RESERVATIONS; i++) {
        int protection = i % 2 == 0 ? PROT_NONE : PROT_READ | PROT_WRITE;
        reserved[i] = mmap(NULL, 1UL << 40, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK(reserved[i] != MAP_FAILED);
        CHECK(mprotect(reserved[i] + (1UL << 38), 1UL << 30, PROT_READ | PROT_WRITE) == 0);
        for (size_t page = 0; page < 64; page++) reserved[i][(1UL << 38) + page * 7 * PAGE] = (char)page;
    }
    double from = now_ns();
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            reserved[i % RESERVATIONS][(1UL << 38) + PAGE] = 1;
            _exit(0);
        }
        CHECK(outcome_of(child) == 0);
    }
    report("fork: 16 TiB of reservations, 100 children", from);
}

static void lock_bytes(int file, short type, off_t from) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = from, .l_len = 8};
    CHECK(fcntl(file, F_SETLKW, &lock) == 0);
}

// Many processes add to counters in a file, each under a lock of its own.
static void locks_among_processes(void) {
    int file = scratch_file(PAGE);
    double from = now_ns();
    for (int locker = 0; locker < LOCKERS; locker++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child > 0) continue;
        for (int i = 0; i < LOCKINGS; i++) {
            off_t counter = (i + locker) % 4 * 8;
            uint64_t value = 0;
            lock_bytes(file, F_WRLCK, counter);
            CHECK(pread(file, &value, 8, counter) == 8);
            value++;
            CHECK(pwrite(file, &value, 8, counter) == 8);
            lock_bytes(file, F_UNLCK, counter);
        }
        _exit(0);
    }
    for (int locker = 0; locker < LOCKERS; locker++) {
        int status = 0;
        CHECK(wait(&status) > 0 && status == 0);
    }
    report("record locks: 16 processes", from);
    uint64_t counters[4], sum = 0;
    CHECK(pread(file, counters, sizeof counters, 0) == sizeof counters);
    for (int i = 0; i < 4; i++) sum += counters[i];
    CHECK(sum == LOCKERS * LOCKINGS);
    CHECK(close(file) == 0);
}

int main(void) {
    stores_to_a_map();
    writes_under_a_map();
    forks_with_reservations();
    locks_among_processes();
    return 0;
}
