// Locked memory, resource limits, the heap's end, stacks.
#ifndef MEMORY_CALLS_LIMITS_H
#define MEMORY_CALLS_LIMITS_H
#include "shown.h"
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/prctl.h>

static void limit(int which, rlim_t soft) {
    struct rlimit now;
    CHECK(getrlimit(which, &now) == 0);
    now.rlim_cur = soft;
    CHECK(setrlimit(which, &now) == 0);
}

// Without CAP_IPC_LOCK, which lets root lock what it likes.
static void be_ordinary(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    CHECK(syscall(SYS_capget, &header, data) == 0);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    CHECK(syscall(SYS_capset, &header, data) == 0);
}

// How much more can be locked tells how much is.
static void show_locked(void) {
    size_t most = 0;
    CHECK(munmap(AT(2000), 1024 * PAGE) == 0);
    char *at = mmap(AT(2000), 1024 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    for (size_t step = 512; at == AT(2000) && step > 0; step /= 2) {
        if (syscall(SYS_mlock2, at, (most + step) * PAGE, 1 /* on fault */) == 0) most += step;
        CHECK(munlock(at, 1024 * PAGE) == 0);
    }
    CHECK(munmap(AT(2000), 1024 * PAGE) == 0);
    printf("  %zu more\n", most);
}

static void locking_within_a_limit(void) {
    be_ordinary();
    limit(RLIMIT_MEMLOCK, 8 * PAGE);
    make(0, 16, RW);
    SHOW(mlock(AT(0), 4 * PAGE));
    SHOW(mlock(AT(2) + 100, 3 * PAGE));
    show_locked();
    SHOW(mlock(AT(8), 4 * PAGE));
    SHOW(mlock(AT(8), 2 * PAGE));
    SHOW(munlock(AT(1), PAGE));
    show_locked();
    SHOW(mlock(AT(10), 2 * PAGE));
    SHOW(syscall(SYS_mlock2, AT(1), PAGE, 1));
    SHOW(syscall(SYS_mlock2, AT(12), PAGE, 1));
    SHOW(syscall(SYS_mlock2, AT(1), PAGE, 2));
    SHOW(mmap(AT(20), 2 * PAGE, RW, ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0));
    SHOW(munmap(AT(0), 4 * PAGE));
    show_locked();
    SHOW(mmap(AT(20), 2 * PAGE, RW, ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0));
    SHOW(mremap(AT(20), 2 * PAGE, 6 * PAGE, 0));
    SHOW(mremap(AT(20), 2 * PAGE, 3 * PAGE, 0));
    show_locked();
    SHOW(munlock(AT(0), 100 * PAGE));
    SHOW(munlockall());
    show_locked();
    SHOW(mlock(AT(15), 4 * PAGE));
    show_locked();
    limit(RLIMIT_MEMLOCK, 0);
    SHOW(mlock(AT(8), PAGE));
    SHOW(mlock(AT(8), 0));
    SHOW(mlockall(MCL_CURRENT));
    SHOW(mmap(AT(20), 2 * PAGE, RW, ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0));
    SHOW(munlock(AT(8), PAGE));
    SHOW(munlockall());
}

static void locking_everything(void) {
    be_ordinary();
    SHOW(mlockall(0));
    SHOW(mlockall(8));
    SHOW(mlockall(MCL_ONFAULT));
    limit(RLIMIT_MEMLOCK, 8 * PAGE);
    SHOW(mlockall(MCL_CURRENT));
    SHOW(mlockall(MCL_FUTURE));
    SHOW(mmap(AT(0), 20 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(mmap(AT(0), 4 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0));
    show_locked();
    SHOW(mmap(AT(8), 5 * PAGE, PROT_NONE, ANONYMOUS | MAP_FIXED, -1, 0));
    char *end = sbrk(0);
    end = (char *)(((uintptr_t)end + PAGE - 1) & ~(PAGE - 1));
    CHECK(syscall(SYS_brk, end) == (long)end);
    printf("brk up by 2: %ld, by 20: %ld\n", syscall(SYS_brk, end + 2 * PAGE) - (long)end, syscall(SYS_brk, end + 20 * PAGE) - (long)end);
    SHOW(mlockall(MCL_FUTURE | MCL_ONFAULT));
    SHOW(mmap(AT(20), PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0));
    show_locked();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        show_locked();
        SHOW(mmap(AT(30), PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0));
        SHOW(mmap(AT(0), 20 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0));
        show_locked();
        fflush(stdout);
        _exit(0);
    }
    SHOW(outcome_of(child));
    SHOW(munlockall());
    show_locked();
    SHOW(mmap(AT(0), 20 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0));
    show_locked();
}

// Whatever its protection, and all of it: shared memory of each kind, as mincore sees it.
static void locking_shared_memory_brings_it_in(void) {
    int protections[] = {RW, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_WRITE | PROT_EXEC, PROT_NONE};
    int fd = memfd_create("locked", 0);
    CHECK(fd >= 0);
    for (int i = 0; i < 12; i++) {
        CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, 16 * PAGE) == 0);
        int flags = MAP_SHARED | MAP_FIXED | (i < 6 ? MAP_ANONYMOUS : 0), in_core = 0;
        CHECK(mmap(AT(0), 16 * PAGE, protections[i % 6], flags, i < 6 ? -1 : fd, 0) == AT(0));
        printf("%s, protection %d\n", i < 6 ? "anonymous" : "memfd", protections[i % 6]);
        SHOW(syscall(SYS_mlock2, AT(0), PAGE, 1));
        SHOW(mlock(AT(0), 16 * PAGE));
        unsigned char core[16];
        CHECK(mincore(AT(0), 16 * PAGE, core) == 0);
        for (int page = 0; page < 16; page++) in_core += core[page] & 1;
        // To bring in what may only be executed is to read it, which leaves holes as they are where the
        // processor has no keys.
        if (protections[i % 6] != PROT_EXEC) printf("in core %d\n", in_core);
        SHOW(munlock(AT(0), 16 * PAGE));
    }
}

// A file in memory, of which a child brings in all or a stretch: what that is to a process that has it mapped
// privately, and has not touched it.
static void private_mappings_show_what_others_brought_in(void) {
    int fd = memfd_create("seen", 0);
    CHECK(fd >= 0);
    for (int i = 0; i < 8; i++) {
        CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, 100 * PAGE) == 0);
        int rights = i & 1 ? PROT_READ : RW, by_write = i & 2, from = i & 4 ? 70 : 0;
        CHECK(mmap(AT(0), 100 * PAGE, rights, MAP_PRIVATE | MAP_FIXED, fd, 0) == AT(0));
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            char word[] = "word";
            for (int page = from; by_write && page < 90; page++) CHECK(pwrite(fd, word, 4, page * (long)PAGE) == 4);
            if (!by_write) CHECK(mlock(AT(from), (size_t)(100 - from) * PAGE) == 0);
            _exit(0);
        }
        CHECK(outcome_of(child) == 0);
        unsigned char core[100];
        CHECK(mincore(AT(0), 100 * PAGE, core) == 0);
        int in_core = 0, last = -1;
        for (int page = 0; page < 100; page++) {
            if (core[page] & 1) in_core++, last = page;
        }
        printf("rights %d, %s from %d: %d in core, the last %d\n", rights, by_write ? "written" : "locked", from, in_core, last);
        CHECK(mincore(AT(90), 10 * PAGE, core) == 0);
        printf("  %d%d\n", core[0] & 1, core[9] & 1);
    }
}

static void locked_memory_refuses_advice(void) {
    be_ordinary();
    limit(RLIMIT_MEMLOCK, 100 * PAGE);
    int fd = make_file(6, 0);
    for (int area = PRIVATE; area < AREAS; area++) {
        make_area(area, 0, 4, fd);
        printf("%s:\n", area_names[area]);
        SHOW(mlock(AT(1), 2 * PAGE));
        SHOW(madvise(AT(0), 4 * PAGE, MADV_DONTNEED));
        SHOW(madvise(AT(1), PAGE, MADV_FREE));
        SHOW(madvise(AT(1), PAGE, MADV_COLD));
        SHOW(madvise(AT(1), PAGE, MADV_PAGEOUT));
        SHOW(madvise(AT(1), PAGE, MADV_REMOVE));
        SHOW(madvise(AT(1), PAGE, MADV_GUARD_INSTALL));
        SHOW(madvise(AT(2), PAGE, MADV_DONTNEED_LOCKED));
        SHOW(msync(AT(0), 4 * PAGE, MS_INVALIDATE));
        SHOW(mlock(AT(3), 2 * PAGE));
        SHOW(munlock(AT(0), 4 * PAGE));
        show_pages(AT(0), 4);
    }
    make(10, 4, RW);
    CHECK(mlock(AT(10), 4 * PAGE) == 0);
    SHOW(mremap(AT(10), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(20)));
    show_locked();
    SHOW(mprotect(AT(21), PAGE, PROT_READ));
    show_locked();
    CHECK(mmap(AT(40), 2 * PAGE, PROT_NONE, ANONYMOUS | MAP_FIXED, -1, 0) == AT(40));
    SHOW(mlock(AT(40), PAGE));
    show_locked();
    make_area(FILE_READ, 50, 8, fd);
    SHOW(mlock(AT(50), 8 * PAGE));
    SHOW(syscall(SYS_mlock2, AT(50), 8 * PAGE, 1));
    show_locked();
}

static void address_space_within_a_limit(void) {
    limit(RLIMIT_AS, 1 << 30);
    SHOW_PLACED(mmap(NULL, 600 << 20, RW, ANONYMOUS, -1, 0));
    SHOW_PLACED(mmap(NULL, 600 << 20, RW, ANONYMOUS, -1, 0));
    SHOW_PLACED(mmap(NULL, 600 << 20, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0));
    SHOW_PLACED(mmap(NULL, 600 << 20, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SHOW_PLACED(mmap(NULL, (size_t)2 << 30, PROT_READ, MAP_PRIVATE, make_file(1, 0), 0));
    make(0, 4, RW);
    SHOW_PLACED(mremap(AT(0), 4 * PAGE, 600 << 20, MREMAP_MAYMOVE));
    printf("brk moved: %d\n", syscall(SYS_brk, (char *)sbrk(0) + (600 << 20)) != (long)sbrk(0));
    show_pages(AT(0), 4);
    void *taken = malloc(700 << 20);
    printf("malloc: %s\n", taken ? "memory" : "none");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        SHOW_PLACED(mmap(NULL, 600 << 20, RW, ANONYMOUS, -1, 0));
        fflush(stdout);
        _exit(0);
    }
    SHOW(outcome_of(child));
    struct rlimit now;
    CHECK(getrlimit(RLIMIT_AS, &now) == 0);
    printf("limit %ld\n", (long)now.rlim_cur);
    limit(RLIMIT_AS, now.rlim_max);
    SHOW_PLACED(mmap(NULL, 600 << 20, RW, ANONYMOUS, -1, 0));
}

static void data_within_a_limit(void) {
    limit(RLIMIT_DATA, 256 << 20);
    SHOW_PLACED(mmap(NULL, 200 << 20, RW, ANONYMOUS, -1, 0));
    SHOW_PLACED(mmap(NULL, 200 << 20, RW, ANONYMOUS, -1, 0));
    SHOW_PLACED(mmap(NULL, 200 << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    char *none = SHOW_PLACED(mmap(NULL, 200 << 20, PROT_NONE, ANONYMOUS, -1, 0));
    SHOW(mprotect(none, 200 << 20, PROT_READ));
    SHOW(mprotect(none, 200 << 20, RW));
    SHOW(mprotect(none, 1 << 20, RW));
    SHOW_PLACED(mmap(NULL, 200 << 20, PROT_READ, ANONYMOUS, -1, 0));
    SHOW_PLACED(mmap(NULL, 200 << 20, RW, MAP_PRIVATE, make_file(1, 0), 0));
    make(0, 4, RW);
    SHOW_PLACED(mremap(AT(0), 4 * PAGE, 200 << 20, MREMAP_MAYMOVE));
    printf("brk moved: %d\n", syscall(SYS_brk, (char *)sbrk(0) + (200 << 20)) != (long)sbrk(0));
    limit(RLIMIT_DATA, 0);
    SHOW_PLACED(mmap(NULL, PAGE, RW, ANONYMOUS, -1, 0));
    SHOW_PLACED(mmap(NULL, PAGE, PROT_READ, ANONYMOUS, -1, 0));
    limit(RLIMIT_DATA, RLIM_INFINITY);
    SHOW_PLACED(mmap(NULL, 200 << 20, RW, ANONYMOUS, -1, 0));
}

static void the_heap_moves(void) {
    char *start = sbrk(0);
    char *base = (char *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1));
#define BREAK(at) printf("brk(" #at ") -> %ld\n", syscall(SYS_brk, at) - (long)base)
    BREAK(base);
    BREAK(base + 100);
    poke("in the first page", base + PAGE - 1, 5);
    poke("behind it", base + PAGE, 5);
    BREAK(base + 3 * PAGE);
    peek("what is new", base + PAGE);
    poke("write", base + 2 * PAGE, 7);
    BREAK(base + PAGE);
    peek("what went", base + 2 * PAGE);
    BREAK(base + 3 * PAGE);
    peek("what came back", base + 2 * PAGE);
    CHECK(mmap(base + 8 * PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == base + 8 * PAGE);
    BREAK(base + 7 * PAGE);
    BREAK(base + 8 * PAGE);
    BREAK(base + 9 * PAGE);
    BREAK((char *)0);
    BREAK((char *)8);
    BREAK((char *)-1);
    CHECK(munmap(base + PAGE, PAGE) == 0);
    BREAK(base + 2 * PAGE);
    peek("the hole", base + PAGE);
    BREAK(base);
#undef BREAK
}

static void dig(long pages) {
    volatile char here[2 * PAGE];
    here[0] = here[PAGE] = 1;
    if (pages > 0) dig(pages - 2);
    here[PAGE + 1] = 2;
}

// In a child each: how deep a stack goes before the signal.
static void stacks_within_a_limit(void) {
    static const long depths[] = {100, 1500, 1900, 2100, 3000, 4000, 5000};
    static const rlim_t limits[] = {1 << 20, 4 << 20, 8 << 20, 16 << 20};
    for (size_t l = 0; l < 4; l++) {
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            fflush(stdout);
            pid_t child = fork();
            if (child == 0) {
                limit(RLIMIT_STACK, limits[l]);
                signal(SIGSEGV, SIG_DFL);
                dig(depths[d]);
                _exit(1);
            }
            printf("limit %lu depth %ld: %d\n", (unsigned long)limits[l], depths[d], outcome_of(child));
        }
    }
}

// Below the stack stays a gap of 256 pages, into which neither the stack nor a mapping with a wish gets.
static void below_the_stack(void) {
    char *here = (char *)((uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1));
    char *near = here - 2048 * (long)PAGE;
    SHOW_PLACED(mmap(near, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    printf("there %d\n", *(volatile char *)near);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        dig(1700);
        _exit(1);
    }
    SHOW(outcome_of(child));
    child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        dig(1900);
        _exit(1);
    }
    SHOW(outcome_of(child));
    peek("far below the stack pointer", here - 1000 * (long)PAGE);
}

static void mappings_that_grow_down(void) {
    CHECK(mmap(AT(400), 2 * PAGE, RW, ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0) == AT(400));
    POKE(AT(400), 1);
    POKE(AT(399), 2);
    POKE(AT(390), 3);
    show_pages(AT(389), 13);
    make(100, 1, RW);
    poke("within the gap", AT(101) + 100, 3);
    poke("before it", AT(357), 3);
    SHOW(mmap(AT(380), PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
}
#endif
