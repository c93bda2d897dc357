// mseal: what may not be done to sealed memory any more, and what may. Every area has a place of its own,
// since what is sealed stays there.
#ifndef MEMORY_CALLS_SEALING_H
#define MEMORY_CALLS_SEALING_H
#include "shown.h"
#include "tables.h"

// Newer than Debian 12's headers.
#define SYS_mseal_ 462

static long seal(const void *at, size_t length) { return syscall(SYS_mseal_, at, length, 0L); }

static long to_status(void *mapped) { return mapped == MAP_FAILED ? -1 : 0; }

static void arguments_of_mseal(void) {
    static const size_t lengths[] = ODD_LENGTHS;
    static char *const places[] = {AT(20), AT(20) + 1, (char *)0x7ffffffff000, (char *)0x800000000000, (char *)-PAGE, AT(300)};
    make(20, 2, RW);
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            // Not what would be sealed.
            if (places[p] == AT(20) && lengths[l] > 0 && lengths[l] <= 2 * PAGE) continue;
            printf("place %p length %zx", (void *)places[p], lengths[l]);
            tell(seal(places[p], lengths[l]));
            printf("\n");
        }
    }
    SHOW(syscall(SYS_mseal_, AT(20), PAGE, 1L));
    // A hole within: nothing is sealed.
    make(24, 1, RW);
    make(26, 1, RW);
    SHOW(seal(AT(24), 3 * PAGE));
    SHOW(munmap(AT(24), PAGE));
    // Twice is once, and a page in the middle splits.
    make(30, 5, RW);
    SHOW(seal(AT(32), PAGE));
    SHOW(seal(AT(31), 3 * PAGE));
    SHOW(seal(AT(31), 3 * PAGE));
    SHOW(munmap(AT(30), PAGE));
    SHOW(munmap(AT(34), PAGE));
    SHOW(munmap(AT(31), PAGE));
    SHOW(munmap(AT(33), PAGE));
    POKE(AT(32), 77);
    show_pages(AT(30), 5);
}

// The calls that would change pages 1 and 2 of the four from `first`, or others with them.
static void try_to_change(long first) {
    char *all = AT(first), *sealed = AT(first + 1);
    printf("  unmapped");
    tell(munmap(sealed, 2 * PAGE));
    tell(munmap(all, 2 * PAGE));
    tell(munmap(all, 4 * PAGE));
    printf("\n  protected");
    for (int protection = 0; protection < 4; protection++) tell(mprotect(sealed, 2 * PAGE, protection));
    tell(mprotect(AT(first + 2), 2 * PAGE, PROT_READ));
    printf("\n  replaced");
    tell(to_status(mmap(sealed, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0)));
    tell(to_status(mmap(all, 4 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0)));
    tell(to_status(mmap(sealed, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)));
    tell(to_status(mmap(sealed, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
    printf("\n  remapped");
    tell(to_status(mremap(sealed, 2 * PAGE, PAGE, 0)));
    tell(to_status(mremap(sealed, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE)));
    tell(to_status(mremap(sealed, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(first + 40))));
    tell(to_status(mremap(sealed, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0)));
    tell(to_status(mremap(sealed, 0, PAGE, MREMAP_MAYMOVE)));
    tell(to_status(mremap(all, 4 * PAGE, PAGE, 0)));
    make(first + 50, 1, RW);
    tell(to_status(mremap(AT(first + 50), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, sealed)));
    printf("\n  locked");
    tell(mlock(sealed, PAGE));
    tell(munlock(sealed, PAGE));
    printf("\n");
    show_pages(all, 4);
}

static void sealed_memory_stays_as_it_is(void) {
    for (int area = PRIVATE; area < AREAS; area++) {
        long first = 100 * area;
        int fd = make_file(6, 50);
        make_area(area, first, 4, fd);
        printf("%s", area_names[area]);
        tell(seal(AT(first + 1), 2 * PAGE));
        printf("\n");
        try_to_change(first);
        // The child's is sealed too.
        fflush(stdout);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            printf("  child");
            try_to_change(first);
            exit(fflush(stdout));
        }
        CHECK(outcome_of(child) == 0);
        close(fd);
    }
}

static void advice_on_sealed_memory(void) {
    // Freeing memory that may be freed says nothing of what it holds then.
    static const int advices[] = {0, 4, 9, 14, 18, 19, 10, 11, 20, 21, 22, 23, 24, 102, 103, 8};
    for (int area = PRIVATE; area < AREAS; area++) {
        long first = 100 * area;
        int fd = make_file(6, 50);
        make_area(area, first, 4, fd);
        CHECK(seal(AT(first + 1), 2 * PAGE) == 0);
        for (size_t a = 0; a < sizeof advices / sizeof *advices; a++) {
            printf("advice %d on sealed %s", advices[a], area_names[area]);
            tell(madvise(AT(first + 1), PAGE, advices[a]));
            tell(madvise(AT(first), 4 * PAGE, advices[a]));
            if (advices[a] == MADV_FREE) printf("\n");
            else show_pages(AT(first), 4);
        }
        close(fd);
    }
}

static void a_sealed_heap_does_not_shrink(void) {
    char *old = sbrk(0);
    char *start = (char *)(((uintptr_t)old + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    CHECK(brk(start + 4 * PAGE) == 0);
    memset(start, 5, 4 * PAGE);
    SHOW(seal(start + PAGE, PAGE));
    SHOW(brk(start + 3 * PAGE));
    SHOW(brk(start));
    SHOW(brk(start + 5 * PAGE));
    show_pages(start, 5);
}
#endif
