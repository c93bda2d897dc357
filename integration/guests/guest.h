// What every guest shares: a checksum, a check that names its line, and fresh (never touched) memory.
// A guest prints only what is the same in every run: no pid, no address, no time.
#ifndef GUEST_H
#define GUEST_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define KIB 1024UL
#define MIB (1024UL * 1024UL)

// Exit code 99 means: the guest saw something that Linux would not do.
#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            exit(99);                                                                               \
        }                                                                                           \
    } while (0)

static inline uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29);
}

static inline uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++) hash = mix(hash, at[i]);
    return hash;
}

// Anonymous memory whose pages nobody has touched.
static inline void *fresh(size_t length) {
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

// Nanoseconds of the monotonic clock.
static inline double now_ns(void) {
    struct timespec at;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

// Waits for `pid` and returns its exit code, or 1000 + the signal that ended it.
static inline int outcome_of(pid_t pid) {
    int status = 0;
    pid_t waited;
    do waited = waitpid(pid, &status, 0);
    while (waited < 0 && errno == EINTR);
    CHECK(waited == pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int finish(const char *name, uint64_t sum) {
    printf("%s %016llx\n", name, (unsigned long long)sum);
    return fflush(stdout) == 0 ? 0 : 98;
}
#endif
