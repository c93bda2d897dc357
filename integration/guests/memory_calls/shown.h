// How a scene tells what it saw: each call with its result or errno, each touch with its signal, addresses
// relative to the arena.
#ifndef MEMORY_CALLS_SHOWN_H
#define MEMORY_CALLS_SHOWN_H
#include "../guest.h"
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

// Newer than Debian 12's headers.
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#define MAP_UNINITIALIZED 0x4000000

// Where no kernel places a mapping by itself.
#define ARENA ((char *)0x3d0000000000)
#define AT(page) (ARENA + (page) * (long)PAGE)
#define RW (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf landing;
static volatile int caught_signal, caught_code;
static volatile long caught_address;

static void land(int number, siginfo_t *info, void *context) {
    (void)context;
    caught_signal = number, caught_code = info->si_code, caught_address = (long)info->si_addr;
    siglongjmp(landing, 1);
}

static void catch_faults(void) {
    static char alternate[64 * KIB];
    struct sigaction action = {.sa_sigaction = land, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    CHECK(sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof alternate}, NULL) == 0);
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}

static void show_number(const char *what, long result) {
    if (result >= (long)ARENA && result < (long)AT(1 << 20)) printf("%s = +%ld\n", what, (result - (long)ARENA) / (long)PAGE);
    else printf("%s = %ld\n", what, result);
}

// A call's result.
#define SHOW(call)                                                                \
    ({                                                                            \
        errno = 0;                                                                \
        long result_ = (long)(call);                                              \
        if (result_ == -1 && errno) printf("%s = %s\n", #call, strerrorname_np(errno)); \
        else show_number(#call, result_);                                         \
        result_;                                                                  \
    })

// The same, of which only success or the errno is told: the address is the kernel's choice.
#define SHOW_PLACED(call)                                                         \
    ({                                                                            \
        errno = 0;                                                                \
        char *result_ = (char *)(call);                                           \
        printf("%s = %s\n", #call, result_ == MAP_FAILED ? strerrorname_np(errno) : "somewhere"); \
        result_;                                                                  \
    })

#define ATTEMPT(access) (sigsetjmp(landing, 1) == 0 ? ((access), true) : false)

static void show_caught(const char *what, const char *at) {
    printf("%s: signal %d code %d %s\n", what, caught_signal, caught_code, caught_address == (long)at ? "there" : "elsewhere");
}

static void peek(const char *what, const char *at) {
    volatile int value = 0;
    if (ATTEMPT(value = *(volatile const unsigned char *)at)) printf("%s reads %d\n", what, value);
    else show_caught(what, at);
}

static void poke(const char *what, char *at, int value) {
    if (ATTEMPT(*(volatile char *)at = (char)value)) printf("%s written\n", what);
    else show_caught(what, at);
}

static void run_code(const char *what, char *at) {
    if (ATTEMPT(((void (*)(void))at)())) printf("%s ran\n", what);
    else show_caught(what, at);
}

#define PEEK(at) peek("read " #at, at)
#define POKE(at, value) poke("write " #at, at, value)

// What every page of `count` from `at` holds, or how it refuses.
static void show_pages(const char *at, long count) {
    printf("  pages");
    for (long page = 0; page < count; page++) {
        volatile int first = 0, last = 0;
        const volatile unsigned char *bytes = (const volatile unsigned char *)at + page * (long)PAGE;
        if (ATTEMPT((first = bytes[0], last = bytes[PAGE - 1]))) printf(" %d/%d", first, last);
        else printf(" !%d/%d", caught_signal, caught_code);
    }
    printf("\n");
}

// Makes [first, first + count) of the arena private memory in which each page holds its number.
static void make(long first, long count, int protection) {
    CHECK(mmap(AT(first), (size_t)count * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == AT(first));
    for (long page = first; page < first + count; page++) memset(AT(page), (int)(page + 1), PAGE);
    CHECK(mprotect(AT(first), (size_t)count * PAGE, protection) == 0);
}

static void clear_arena(void) { CHECK(munmap(ARENA, 512 * PAGE) == 0); }

// A file of `pages` pages and `more` bytes, each byte its page's number from 101 on.
static int make_file(long pages, size_t more) {
    char name[] = "memory-XXXXXX", bytes[PAGE];
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    for (long page = 0; page <= pages; page++) {
        memset(bytes, (int)(101 + page), PAGE);
        size_t length = page < pages ? PAGE : more;
        CHECK(pwrite(fd, bytes, length, page * (long)PAGE) == (ssize_t)length);
    }
    return fd;
}

// The kinds of area that a call may meet.
enum area { HOLE, PRIVATE, READ_ONLY, NO_ACCESS, SHARED, FILE_PRIVATE, FILE_READ, FILE_SHARED, AREAS };
static const char *const area_names[] = {"hole", "private", "read-only", "no-access", "shared", "file-private", "file-read", "file-shared"};

static void make_area(enum area area, long first, long count, int fd) {
    size_t length = (size_t)count * PAGE;
    char *at = AT(first);
    CHECK(munmap(at, length) == 0);
    switch (area) {
    case PRIVATE: make(first, count, RW); return;
    case READ_ONLY: make(first, count, PROT_READ); return;
    case NO_ACCESS: make(first, count, PROT_NONE); return;
    case SHARED: CHECK(mmap(at, length, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at); return;
    case FILE_PRIVATE: CHECK(mmap(at, length, RW, MAP_PRIVATE | MAP_FIXED, fd, 0) == at); return;
    case FILE_READ: CHECK(mmap(at, length, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == at); return;
    case FILE_SHARED: CHECK(mmap(at, length, RW, MAP_SHARED | MAP_FIXED, fd, 0) == at); return;
    default: return;
    }
}
#endif
