// Every call with every argument that changes what it does: results and contents, one line each.
#ifndef MEMORY_CALLS_TABLES_H
#define MEMORY_CALLS_TABLES_H
#include "shown.h"
#include <sys/uio.h>

#define ODD_LENGTHS {0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, (size_t)1 << 46, (size_t)1 << 47, (size_t)1 << 62, (size_t)-PAGE, (size_t)-1}

static void tell(long result) { printf(" %s", result == -1 ? strerrorname_np(errno) : "ok"); }

static void each_advice_on_each_area(void) {
    int fd = make_file(6, 50);
    for (int advice = -1; advice < 105; advice++) {
        // Poisoning memory for the whole machine is nothing for a test.
        if (advice == 100 || advice == 101) continue;
        for (int area = HOLE; area < AREAS; area++) {
            // Freed pages may hold either; populating does not say what is freed.
            make_area(area, 10, 4, fd);
            printf("advice %d on %s", advice, area_names[area]);
            tell(madvise(AT(10), 4 * PAGE, advice));
            if (advice == MADV_FREE) printf("\n");
            else show_pages(AT(10), 4);
        }
    }
}

static void each_advice_with_odd_ranges(void) {
    // None that reaches what the program itself lives on.
    static const size_t lengths[] = {0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, (size_t)-PAGE, (size_t)-1};
    static const int advices[] = {0, 3, 4, 8, 9, 10, 14, 18, 20, 21, 22, 23, 24, 25, 77, 102, 103};
    for (size_t a = 0; a < sizeof advices / sizeof *advices; a++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            make(20, 2, RW);
            printf("advice %d length %zx", advices[a], lengths[l]);
            tell(madvise(AT(20), lengths[l], advices[a]));
            tell(madvise(AT(20) + 1, lengths[l], advices[a]));
            tell(madvise((char *)0x7ffffffff000, lengths[l], advices[a]));
            tell(madvise((char *)-PAGE, lengths[l], advices[a]));
            if (advices[a] == MADV_FREE) printf("\n");
            else show_pages(AT(20), 2);
        }
    }
}

static void each_call_with_odd_ranges(void) {
    static const size_t lengths[] = ODD_LENGTHS;
    static char *const places[] = {(char *)0x3d0000014000, (char *)0x3d0000014001, (char *)0x7ffffffff000, (char *)0x800000000000,
                                   (char *)-PAGE, (char *)0x3d0000018000};
    unsigned char *vector = fresh(PAGE);
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            make(20, 2, RW);
            printf("place %p length %zx", (void *)places[p], lengths[l]);
            tell(mprotect(places[p], lengths[l], PROT_READ));
            tell(syscall(SYS_pkey_mprotect, places[p], lengths[l], PROT_READ, -1));
            tell(msync(places[p], lengths[l], MS_SYNC));
            if (lengths[l] < 1 << 20) tell(mincore(places[p], lengths[l], vector));
            tell(mlock(places[p], lengths[l]));
            tell(munlock(places[p], lengths[l]));
            tell(mremap(places[p], lengths[l], lengths[l], 0) == MAP_FAILED ? -1 : 0);
            tell(mremap(places[p], PAGE, lengths[l], 0) == MAP_FAILED ? -1 : 0);
            if (lengths[l] < (size_t)1 << 46) tell(munmap(places[p], lengths[l]));
            show_pages(AT(20), 2);
        }
    }
}

static void each_flag_of_mmap(void) {
    static const int protections[] = {PROT_NONE, PROT_READ, PROT_WRITE, RW, PROT_READ | PROT_EXEC, 7, 8, 16, PROT_GROWSDOWN | RW, 0x40000000};
    static const int types[] = {0, MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, 4, 8};
    static const int more[] = {0, MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_ANONYMOUS | MAP_GROWSDOWN, MAP_ANONYMOUS | MAP_LOCKED, MAP_POPULATE,
                               MAP_ANONYMOUS | MAP_POPULATE, MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, MAP_ANONYMOUS | MAP_HUGETLB,
                               MAP_HUGETLB, MAP_SYNC, MAP_ANONYMOUS | MAP_SYNC, MAP_DENYWRITE | MAP_EXECUTABLE, MAP_ANONYMOUS | MAP_UNINITIALIZED,
                               1 << 27, MAP_ANONYMOUS | 1 << 27, MAP_NONBLOCK | MAP_POPULATE, 0x80, MAP_ANONYMOUS | 0x80};
    int reading = open("/proc/self/exe", O_RDONLY), both = make_file(4, 9), writing = open("/dev/null", O_WRONLY), path = open("/", O_PATH);
    int folder = open("/", O_RDONLY), zeros = open("/dev/zero", O_RDWR), pipes[2];
    CHECK(pipe(pipes) == 0 && path >= 0 && folder >= 0 && zeros >= 0);
    const int descriptors[] = {-1, 777, reading, both, writing, path, folder, zeros, pipes[0]};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (size_t m = 0; m < sizeof more / sizeof *more; m++) {
            for (size_t p = 0; p < sizeof protections / sizeof *protections; p++) {
                printf("mmap type %d more %x prot %x:", types[t], (unsigned)more[m], (unsigned)protections[p]);
                for (size_t d = 0; d < sizeof descriptors / sizeof *descriptors; d++) {
                    make(30, 1, RW);
                    char *at = mmap(AT(30), 2 * PAGE, protections[p], types[t] | more[m] | MAP_FIXED, descriptors[d], 0);
                    if (at == MAP_FAILED) printf(" %s", strerrorname_np(errno));
                    else printf(" %s", at == AT(30) ? "there" : "elsewhere");
                    // A target may be lost to what the file system refuses late.
                    if (!(more[m] & MAP_SYNC) && (at == MAP_FAILED || m < 2)) {
                        volatile int value = -1;
                        if (ATTEMPT(value = *(volatile unsigned char *)AT(30))) printf("(%d)", descriptors[d] == reading ? 1 : value);
                        else printf("(!%d/%d)", caught_signal, caught_code);
                    }
                }
                printf("\n");
                clear_arena();
            }
        }
    }
}

static void each_place_of_mmap(void) {
    static const size_t lengths[] = ODD_LENGTHS;
    static char *const places[] = {NULL, (char *)1, (char *)PAGE, (char *)0x10000, (char *)0x3d0000014000, (char *)0x3d0000014001,
                                   (char *)0x7fffffffe000, (char *)0x7ffffffff000, (char *)0x800000000000, (char *)-PAGE};
    static const int flags[] = {0, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_FIXED | MAP_FIXED_NOREPLACE, MAP_32BIT, MAP_32BIT | MAP_FIXED};
    int fd = make_file(4, 9);
    for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                if (lengths[l] > 1 << 20 && lengths[l] < (size_t)1 << 47) continue;
                make(20, 1, RW);
                printf("flags %x place %p length %zx", (unsigned)flags[f], (void *)places[p], lengths[l]);
                for (int with_file = 0; with_file < 2; with_file++) {
                    int kind = with_file ? MAP_PRIVATE : ANONYMOUS;
                    char *at = mmap(places[p], lengths[l], PROT_READ, kind | flags[f] | MAP_NORESERVE, with_file ? fd : -1, 0);
                    if (at == MAP_FAILED) printf(" %s", strerrorname_np(errno));
                    else if (at == places[p]) printf(" there");
                    else printf(" %s", (uintptr_t)at < (uintptr_t)1 << 32 ? "low" : "elsewhere");
                    if (at != MAP_FAILED) CHECK(munmap(at, lengths[l]) == 0);
                }
                printf("\n");
            }
        }
    }
    SHOW_PLACED(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1));
    SHOW_PLACED(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -(long)PAGE));
    SHOW_PLACED(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, -(long)PAGE));
    SHOW_PLACED(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0x7ffffffffffff000));
    SHOW_PLACED(mmap(NULL, PAGE, PROT_READ, ANONYMOUS, -1, 0x123000));
    SHOW_PLACED(mmap(NULL, PAGE, PROT_READ, ANONYMOUS, -1, 0x123));
}

static void each_flag_of_mremap(void) {
    static const long counts[] = {0, 1, 2, 4, 6};
    int fd = make_file(6, 50);
    for (int area = HOLE; area < AREAS; area++) {
        for (int flags = 0; flags < 9; flags++) {
            for (size_t o = 0; o < 5; o++) {
                for (size_t n = 0; n < 5; n++) {
                    clear_arena();
                    make_area(area, 40, 4, fd);
                    make(60, 8, RW);
                    printf("mremap %s flags %d %ld -> %ld", area_names[area], flags, counts[o], counts[n]);
                    char *at = mremap(AT(40), (size_t)counts[o] * PAGE, (size_t)counts[n] * PAGE, flags, AT(61));
                    if (at == MAP_FAILED) printf(" %s", strerrorname_np(errno));
                    else if (at == AT(40) || at == AT(61)) printf(" +%ld", (at - ARENA) / (long)PAGE);
                    else printf(" elsewhere");
                    if (at != MAP_FAILED) show_pages(at, counts[n]);
                    show_pages(AT(40), 7);
                    show_pages(AT(60), 8);
                    if (at != MAP_FAILED && at != AT(40) && at != AT(61)) CHECK(munmap(at, (size_t)counts[n] * PAGE) == 0);
                }
            }
        }
    }
}

static void each_protection_on_each_area(void) {
    int fd = make_file(6, 50), read_only = open("/proc/self/exe", O_RDONLY);
    for (int area = HOLE; area < AREAS; area++) {
        for (int protection = 0; protection < 10; protection++) {
            make_area(area, 70, 4, fd);
            printf("mprotect %s %d", area_names[area], protection);
            tell(mprotect(AT(71), 2 * PAGE, protection));
            show_pages(AT(70), 4);
            for (long page = 70; page < 74; page++) {
                if (ATTEMPT(*(volatile char *)AT(page) = 9)) printf(" w");
                else printf(" !%d/%d", caught_signal, caught_code);
            }
            printf("\n");
        }
    }
    CHECK(mmap(AT(80), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, read_only, 0) == AT(80));
    SHOW(mprotect(AT(80), PAGE, RW));
    SHOW(mprotect(AT(80), PAGE, PROT_READ | PROT_EXEC));
    SHOW(mprotect(AT(80), PAGE, RW | PROT_GROWSDOWN));
    SHOW(mprotect(AT(80), PAGE, PROT_READ | PROT_GROWSUP));
    SHOW(mprotect(AT(80), PAGE, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN));
    SHOW(mprotect(AT(80), PAGE, 0x1000));
}

// process_madvise: of itself, by a descriptor and by what stands for one, and of a child.
static long advise_ranges(int process, struct iovec *ranges, size_t count, int advice, unsigned flags) {
    return syscall(SYS_process_madvise, process, ranges, count, advice, flags);
}

static void advice_on_many_ranges(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pause();
        _exit(0);
    }
    int own = (int)syscall(SYS_pidfd_open, getpid(), 0), other = (int)syscall(SYS_pidfd_open, child, 0), none = open("/dev/null", O_RDONLY);
    CHECK(own >= 0 && other >= 0 && none >= 0);
    // PIDFD_SELF_THREAD, PIDFD_SELF_THREAD_GROUP.
    const int processes[] = {own, -10000, -10001, other, none, -1};
    static const int advices[] = {0, 3, MADV_DONTNEED, MADV_DONTFORK, MADV_DOFORK, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_GUARD_INSTALL,
                                  MADV_GUARD_REMOVE, 77, -1};
    for (size_t p = 0; p < sizeof processes / sizeof *processes; p++) {
        for (size_t a = 0; a < sizeof advices / sizeof *advices; a++) {
            make(40, 8, RW);
            struct iovec ranges[] = {{AT(40), PAGE}, {AT(42), 0}, {AT(44), 2 * PAGE}, {AT(47), 5}, {AT(60), PAGE}, {AT(41), PAGE}};
            printf("process %zu advice %d:", p, advices[a]);
            for (size_t count = 0; count <= 6; count++) {
                long done = advise_ranges(processes[p], ranges, count, advices[a], 0);
                if (done < 0) tell(done);
                else printf(" %ld", done);
            }
            show_pages(AT(40), 8);
        }
    }
    struct iovec good = {AT(40), PAGE};
    SHOW(advise_ranges(own, &good, 1, 0, 1));
    SHOW(advise_ranges(own, &good, 1025, 0, 0));
    SHOW(advise_ranges(own, NULL, 1, 0, 0));
    SHOW(advise_ranges(own, NULL, 0, 0, 0));
    SHOW(advise_ranges(own, (struct iovec[]){{AT(40), (size_t)-1}}, 1, 0, 0));
    SHOW(advise_ranges(own, (struct iovec[]){{(char *)-PAGE, PAGE}}, 1, 0, 0));
    SHOW(advise_ranges(own, (struct iovec[]){{AT(40) + 1, PAGE}}, 1, 0, 0));
    SHOW(advise_ranges(own, (struct iovec[]){{AT(40), PAGE}, {AT(40) + 1, PAGE}}, 2, 0, 0));
    CHECK(kill(child, SIGKILL) == 0 && outcome_of(child) == 1000 + SIGKILL);
    SHOW(advise_ranges(other, &good, 1, MADV_COLD, 0));
    close(own), close(other), close(none);
    clear_arena();
}
#endif
