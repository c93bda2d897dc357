// Mapping, moving and protecting: one scene for each thing that went wrong once.
#ifndef MEMORY_CALLS_MAPPING_H
#define MEMORY_CALLS_MAPPING_H
#include "shown.h"
#include <pthread.h>
#include <sys/socket.h>

static void mremap_shrinks_across_holes(void) {
    make(0, 8, RW);
    CHECK(munmap(AT(3), 2 * PAGE) == 0);
    SHOW(mremap(AT(0), 8 * PAGE, 2 * PAGE, 0));
    show_pages(AT(0), 8);
    SHOW(mremap(AT(3), PAGE, PAGE, 0));
}

// What the kernel holds as several mappings it moves as they are, and neither grows nor lets move anywhere.
static void mremap_of_several_mappings(void) {
    int fd = make_file(9, 0);
    for (int apart = 0; apart < 6; apart++) {
        make(0, 4, RW);
        for (int page = 0; page < 4; page++) *AT(page) = (char)(page + 1 + apart);
        if (apart == 0) CHECK(mprotect(AT(2), 2 * PAGE, PROT_READ) == 0);
        if (apart == 1) CHECK(madvise(AT(2), 2 * PAGE, MADV_DONTFORK) == 0);
        if (apart == 2) CHECK(mlock(AT(2), 2 * PAGE) == 0);
        if (apart == 3) CHECK(mmap(AT(2), 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, 0) == AT(2));
        if (apart == 4) CHECK(mmap(AT(2), 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) == AT(2));
        if (apart == 5) {
            CHECK(mmap(AT(0), 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, PAGE) == AT(0));
            CHECK(mmap(AT(2), 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, 7 * PAGE) == AT(2));
        }
        SHOW(mremap(AT(0), 4 * PAGE, 6 * PAGE, 0));
        SHOW_PLACED(mremap(AT(0), 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE));
        SHOW(mremap(AT(0), 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(20)));
        SHOW_PLACED(mremap(AT(0), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
        SHOW(mremap(AT(0), 4 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(20)));
        show_pages(AT(0), 4);
        show_pages(AT(20), 4);
        SHOW(mremap(AT(0), 4 * PAGE, 2 * PAGE, 0));
        CHECK(munmap(AT(0), 40 * PAGE) == 0);
    }
}

static void a_datagram_is_not_taken_twice_after_efault(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) == 0);
    make(0, 1, PROT_READ);
    CHECK(send(ends[0], "one", 3, 0) == 3 && send(ends[0], "two", 3, 0) == 3);
    char rest[8] = {0};
    SHOW(recv(ends[1], AT(0), 3, 0));
    SHOW(recv(ends[1], rest, 3, 0));
    printf("%s\n", rest);
}

static void a_fetch_past_the_end_of_a_file_is_sigbus(void) {
    int fd = make_file(1, 0);
    CHECK(mmap(AT(0), 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == AT(0));
    CHECK(mmap(AT(8), 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) == AT(8));
    run_code("readable, past the end", AT(2));
    run_code("executable, past the end", AT(10));
    run_code("readable, in the file", AT(0));
}

static void a_fetch_where_nothing_is_permitted_is_denied(void) {
    int fd = make_file(1, 0);
    for (long offset = 0; offset < 2; offset++) {
        CHECK(mmap(AT(0), 4 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, offset * 26 * (long)PAGE) == AT(0));
        PEEK(AT(2));
        SHOW(mprotect(AT(1), (4 - offset) * PAGE, PROT_NONE));
        PEEK(AT(2));
        run_code("nothing permitted, past the end", AT(2));
    }
}

static void dontfork_and_wipeonfork_are_set_apart(void) {
    make(0, 4, RW);
    SHOW(madvise(AT(0), 4 * PAGE, MADV_WIPEONFORK));
    SHOW(madvise(AT(1), 2 * PAGE, MADV_DONTFORK));
    SHOW(madvise(AT(2), PAGE, MADV_DOFORK));
    SHOW(madvise(AT(3), PAGE, MADV_KEEPONFORK));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        show_pages(AT(0), 4);
        fflush(stdout);
        _exit(0);
    }
    SHOW(outcome_of(child));
    show_pages(AT(0), 4);
}

static void a_mapping_of_a_file_grows_in_place(void) {
    int fd = make_file(6, 50);
    CHECK(mmap(AT(0), 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, PAGE) == AT(0));
    CHECK(mmap(AT(16), 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, PAGE) == AT(16));
    POKE(AT(1), 7);
    SHOW(mremap(AT(0), 2 * PAGE, 8 * PAGE, 0));
    SHOW(mremap(AT(16), 2 * PAGE, 8 * PAGE, 0));
    show_pages(AT(0), 8);
    show_pages(AT(16), 8);
    POKE(AT(4), 8);
    show_pages(AT(0), 8);
}

static void dontunmap_takes_a_wish_for_its_place(void) {
    make(0, 2, RW);
    SHOW(mremap(AT(0), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, AT(8)));
    show_pages(AT(0), 2);
    show_pages(AT(8), 2);
    POKE(AT(0), 5);
    POKE(AT(8), 6);
    show_pages(AT(0), 10);
}

static void mprotect_changes_what_lies_before_a_refusal(void) {
    make(0, 2, RW);
    CHECK(mmap(AT(2), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, open("/proc/self/exe", O_RDONLY), 0) == AT(2));
    make(3, 1, PROT_READ);
    SHOW(mprotect(AT(1), 3 * PAGE, PROT_WRITE));
    POKE(AT(1), 1);
    POKE(AT(3), 1);
    SHOW(mprotect(AT(0), 9 * PAGE, PROT_NONE));
    show_pages(AT(0), 4);
}

static void moving_beside_a_mapping_keeps_its_pages(void) {
    make(0, 2, RW);
    make(8, 2, RW);
    CHECK(madvise(AT(8), PAGE, MADV_DONTNEED) == 0);
    SHOW(mremap(AT(0), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(10)));
    show_pages(AT(8), 4);
    POKE(AT(8), 3);
    show_pages(AT(8), 4);
}

// Where the kernel joins two areas that had been apart, both stay registered: untouched pages on either side
// still come.
static void neighbours_stay_registered_when_they_merge(void) {
    for (int order = 0; order < 6; order++) {
        clear_arena();
        for (long page = 0; page < 12; page++) CHECK(mmap(AT(page), PAGE, page & 1 ? PROT_READ : RW, ANONYMOUS | MAP_FIXED, -1, 0) == AT(page));
        if (order & 1) POKE(AT(0), 1), POKE(AT(4), 1);
        if (order & 2) CHECK(mprotect(AT(0), 12 * PAGE, PROT_NONE) == 0);
        CHECK(mprotect(AT(3), 6 * PAGE, RW) == 0);
        CHECK(mprotect(AT(0), 12 * PAGE, RW) == 0);
        if (order & 4) SHOW(mremap(AT(4), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(12)));
        CHECK(munmap(AT(6), PAGE) == 0);
        CHECK(mmap(AT(6), PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == AT(6));
        for (long page = 0; page < 14; page++) poke("each", AT(page), (int)page + 1);
        show_pages(AT(0), 14);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            CHECK(mprotect(AT(7), 3 * PAGE, PROT_READ) == 0 && mprotect(AT(7), 3 * PAGE, RW) == 0);
            for (long page = 7; page < 14; page++) poke("child", AT(page), (int)page + 31);
            show_pages(AT(0), 14);
            fflush(stdout);
            _exit(0);
        }
        SHOW(outcome_of(child));
    }
}

// Memory without access refuses the program and the kernel, and keeps what it held.
static void memory_without_access(void) {
    make(0, 4, RW);
    CHECK(mmap(AT(4), 4 * PAGE, PROT_NONE, ANONYMOUS | MAP_FIXED, -1, 0) == AT(4));
    CHECK(mprotect(AT(1), 2 * PAGE, PROT_NONE) == 0);
    int pipes[2];
    CHECK(pipe2(pipes, O_NONBLOCK) == 0);
    PEEK(AT(1));
    POKE(AT(2), 1);
    PEEK(AT(5));
    POKE(AT(6), 1);
    run_code("fetch", AT(1));
    SHOW(write(pipes[1], AT(1), 10));
    SHOW(write(pipes[1], AT(0) + PAGE - 5, 10));
    SHOW(write(pipes[1], AT(5), 10));
    SHOW(read(pipes[0], AT(5), 10));
    SHOW(madvise(AT(1), PAGE, MADV_DONTNEED));
    SHOW(mprotect(AT(0), 8 * PAGE, RW));
    show_pages(AT(0), 8);
}

// Out of reach of the program, and yet to be written out under a cap.
static void memory_without_access_keeps_its_contents(void) {
    CHECK(mmap(AT(1000), 3000 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == AT(1000));
    for (long page = 1000; page < 2500; page++) *(long *)AT(page) = page;
    SHOW(mprotect(AT(1000), 1500 * PAGE, PROT_NONE));
    for (long page = 2500; page < 4000; page++) *(long *)AT(page) = page;
    PEEK(AT(1000));
    SHOW(mprotect(AT(1000), 1500 * PAGE, PROT_READ));
    long wrong = 0;
    for (long page = 1000; page < 4000; page++) wrong += *(long *)AT(page) != page;
    printf("%ld pages are wrong\n", wrong);
}

// Guard pages as thread libraries and allocators lay them: mapped without access, opened in parts, closed
// again.
static void guard_pages(void) {
    CHECK(mmap(AT(0), 64 * PAGE, PROT_NONE, ANONYMOUS | MAP_STACK | MAP_NORESERVE | MAP_FIXED, -1, 0) == AT(0));
    SHOW(mprotect(AT(1), 62 * PAGE, RW));
    POKE(AT(0) + PAGE - 1, 1);
    POKE(AT(1), 1);
    POKE(AT(63) - 1, 2);
    POKE(AT(63), 1);
    SHOW(mprotect(AT(30), PAGE, PROT_NONE));
    PEEK(AT(30));
    PEEK(AT(31));
    POKE(AT(29) + 100, 1);
    SHOW(mprotect(AT(30), PAGE, RW));
    POKE(AT(30), 1);
    show_pages(AT(28), 4);
}

static void guards_are_installed_and_removed(void) {
    int fd = make_file(6, 0);
    make(0, 8, RW);
    make_area(FILE_PRIVATE, 10, 6, fd);
    make_area(FILE_READ, 20, 6, fd);
    make_area(FILE_SHARED, 30, 6, fd);
    make_area(SHARED, 40, 6, fd);
    for (long first = 0; first < 50; first += 10) {
        SHOW(madvise(AT(first + 1), 2 * PAGE, MADV_GUARD_INSTALL));
        show_pages(AT(first), 6);
        POKE(AT(first + 1), 3);
        SHOW(mprotect(AT(first), 6 * PAGE, PROT_READ));
        show_pages(AT(first), 6);
        SHOW(write(1, AT(first + 1), 0));
        SHOW(madvise(AT(first), 6 * PAGE, MADV_POPULATE_READ));
        SHOW(madvise(AT(first + 2), PAGE, MADV_GUARD_REMOVE));
        SHOW(madvise(AT(first + 1), PAGE, MADV_DONTNEED));
        show_pages(AT(first), 6);
        SHOW(madvise(AT(first), 6 * PAGE, MADV_GUARD_REMOVE));
        show_pages(AT(first), 6);
    }
    make(60, 4, RW);
    SHOW(madvise(AT(61), PAGE, MADV_GUARD_INSTALL));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        show_pages(AT(60), 4);
        fflush(stdout);
        _exit(0);
    }
    SHOW(outcome_of(child));
    SHOW(mremap(AT(60), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(70)));
    show_pages(AT(60), 4);
    show_pages(AT(70), 4);
    SHOW(madvise(AT(70), 6 * PAGE, MADV_GUARD_INSTALL));
    show_pages(AT(70), 4);
}

struct racer {
    long first, pages;
    unsigned long rounds;
    volatile bool *stop;
};

// Adds one to each of its words for as long as asked, wherever the pages are just now.
static void *race(void *argument) {
    struct racer *self = argument;
    char *volatile *place = (char *volatile *)AT(200);
    while (!*self->stop) {
        for (long page = self->first; page < self->first + self->pages; page++) {
            for (;;) {
                char *at = *place;
                if (ATTEMPT(__atomic_fetch_add((unsigned long *)(at + page * (long)PAGE), 1, __ATOMIC_SEQ_CST))) break;
            }
        }
        self->rounds++;
    }
    return NULL;
}

// The racers' landing is shared, so there is one: the main thread only moves.
static void mremap_races_with_faults(void) {
    enum { PAGES = 16 };
    make(0, PAGES, RW);
    make(200, 1, RW);
    memset(AT(0), 0, PAGES * PAGE);
    *(char *volatile *)AT(200) = AT(0);
    volatile bool stop = false;
    struct racer racer = {0, PAGES, 0, &stop};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, race, &racer) == 0);
    char *from = AT(0), *to = AT(64);
    for (int round = 0; round < 3000; round++) {
        CHECK(mremap(from, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
        *(char *volatile *)AT(200) = to;
        char *other = from;
        from = to, to = other;
        if (round % 16 == 0) CHECK(mprotect(from, PAGES * PAGE, PROT_NONE) == 0 && mprotect(from, PAGES * PAGE, RW) == 0);
        if (round % 64 == 0) usleep(100);
    }
    stop = true;
    CHECK(pthread_join(thread, NULL) == 0);
    bool exact = true;
    for (long page = 0; page < PAGES; page++) exact = exact && *(unsigned long *)(from + page * (long)PAGE) == racer.rounds;
    printf("every word counts every round: %d, some rounds: %d\n", exact, racer.rounds > 0);
}

static void protections_grow_down(void) {
    make(0, 4, RW);
    SHOW(mprotect(AT(2), PAGE, PROT_READ | PROT_GROWSDOWN));
    char room[3 * PAGE];
    char *stack = (char *)(((uintptr_t)room + PAGE) & ~(PAGE - 1));
    SHOW(mprotect(stack, PAGE, RW | PROT_EXEC | PROT_GROWSDOWN));
    *(volatile unsigned char *)stack = 0xc3;
    run_code("stack", stack);
    SHOW(mprotect(stack, PAGE, RW | PROT_GROWSDOWN));
    run_code("stack", stack);
}

static void noreplace_replaces_nothing(void) {
    make(0, 4, RW);
    SHOW(mmap(AT(3), 2 * PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(AT(4), 2 * PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(AT(2), PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(AT(2), PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, make_file(1, 0), 0));
    SHOW(mmap(AT(6), PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, make_file(1, 0), 0));
    show_pages(AT(0), 7);
}

static void residence(void) {
    unsigned char flags[8] = {0};
    CHECK(mmap(AT(0), 8 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == AT(0));
    AT(1)[5] = AT(4)[0] = 1;
    // What is touched is there, what is dropped is not; of what lies beside nothing is promised.
    SHOW(mincore(AT(0), 8 * PAGE, flags));
    printf("%d%d\n", flags[1] & 1, flags[4] & 1);
    CHECK(madvise(AT(4), PAGE, MADV_DONTNEED) == 0 && madvise(AT(6), PAGE, MADV_POPULATE_WRITE) == 0);
    SHOW(mincore(AT(0), 8 * PAGE, flags));
    printf("%d%d%d\n", flags[1] & 1, flags[4] & 1, flags[6] & 1);
    SHOW(mincore(AT(0), 8 * PAGE, (unsigned char *)8));
    SHOW(mincore(AT(0), 9 * PAGE, flags));
    SHOW(mincore(AT(0) + 1, PAGE, flags));
    SHOW(mincore(AT(0), 0, (unsigned char *)8));
    SHOW(mmap(AT(10), 4 * PAGE, RW, ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0));
    SHOW(mincore(AT(10), 4 * PAGE, flags));
    for (int i = 0; i < 4; i++) printf("%d", flags[i] & 1);
}
#endif
