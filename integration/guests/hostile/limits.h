// Running out of everything, and limits that are lowered under the pager's feet.
#ifndef HOSTILE_LIMITS_H
#define HOSTILE_LIMITS_H
#include "own.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

// As many areas as the kernel allows (65,530), then more; then each is used.
static int exhaust_areas(void) {
    enum { MOST = 70000 };
    uint64_t *pattern = patterned(3);
    char *all = mmap(0, 2 * MOST * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(all != MAP_FAILED);
    long made = 0;
    while (made < MOST && mprotect(all + 2 * made * PAGE, PAGE, PROT_READ) == 0) made++;
    CHECK(made > 20000 && made < MOST && errno == ENOMEM);
    for (long i = 0; i < made; i += 7) {
        CHECK(all[2 * i * PAGE] == 0);
        all[(2 * i + 1) * PAGE] = (char)i;
    }
    check_pattern(pattern, 3);
    char *more = mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(more == MAP_FAILED || more[0] == 0);
    for (long i = 0; i < made; i += 7) CHECK(all[(2 * i + 1) * PAGE] == (char)i);
    pid_t pid = fork();
    if (pid == 0) _exit(all[7 * 2 * PAGE + PAGE] == 7 ? 5 : 6);
    CHECK(pid < 0 || outcome_of(pid) == 5);
    CHECK(munmap(all, 2 * MOST * PAGE) == 0);
    check_pattern(pattern, 3);
    return 0;
}

// Children that have children, up to the limit on processes of a user that nobody else is.
static void multiply(int depth) {
    for (int i = 0; i < 4; i++) {
        pid_t pid = fork();
        if (pid < 0) CHECK(errno == EAGAIN);
        if (pid == 0 && depth > 0) multiply(depth - 1);
        if (pid == 0) {
            volatile char *memory = fresh(64 * PAGE);
            for (int k = 0; k < 64; k++) memory[k * PAGE] = (char)k;
            usleep(50000);
            for (int k = 0; k < 64; k++) CHECK(memory[k * PAGE] == k);
            _exit(0);
        }
    }
    int status;
    while (wait(&status) > 0) CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (depth < 3) _exit(0);
}
static int fork_bomb(void) {
    struct rlimit few = {60, 60};
    CHECK(setresgid(54321, 54321, 54321) == 0 && setresuid(54321, 54321, 54321) == 0);
    CHECK(setrlimit(RLIMIT_NPROC, &few) == 0);
    multiply(3);
    return 0;
}

static int limit_file_size(void) {
    struct rlimit none = {4096, 4096}, shown;
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    uint64_t *pattern = patterned(4);
    check_pattern(pattern, 4);
    CHECK(getrlimit(RLIMIT_FSIZE, &shown) == 0 && shown.rlim_cur == 4096);
    char name[] = "/tmp/hostileXXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(pwrite(fd, pattern, 4096, 4096) == -1 && errno == EFBIG);
    CHECK(pwrite(fd, pattern, 8192, 0) == 4096);
    return 0;
}

static int limit_memory(int resource) {
    uint64_t *pattern = patterned(5);
    struct rlimit little = {1 * MIB, 1 * MIB};
    CHECK(setrlimit(resource, &little) == 0);
    CHECK(mmap(0, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    check_pattern(pattern, 5);
    for (size_t i = 0; i < PATTERN_BYTES / 8; i++) pattern[i] = mix(6, i);
    check_pattern(pattern, 6);
    pid_t pid = fork();
    if (pid == 0) {
        check_pattern(pattern, 6);
        _exit(7);
    }
    CHECK(pid > 0 && outcome_of(pid) == 7);
    return 0;
}
static int limit_data(void) { return limit_memory(RLIMIT_DATA); }
static int limit_address_space(void) { return limit_memory(RLIMIT_AS); }

static void *one_thread(void *argument) {
    check_pattern(patterned((uint64_t)argument), (uint64_t)argument);
    return 0;
}
// All other limits at their least, one after the other.
static int limit_the_rest(void) {
    struct rlimit none = {0, 0};
    uint64_t *pattern = patterned(8);
    for (int resource = 0; resource < 16; resource++) {
        if (resource == RLIMIT_CPU || resource == RLIMIT_AS || resource == RLIMIT_DATA || resource == RLIMIT_FSIZE) continue;
        CHECK(setrlimit((__rlimit_resource_t)resource, &none) == 0);
        check_pattern(pattern, 8);
    }
    pthread_t thread;
    if (pthread_create(&thread, 0, one_thread, (void *)9) == 0) CHECK(pthread_join(thread, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        check_pattern(pattern, 8);
        _exit(7);
    }
    CHECK(pid < 0 || outcome_of(pid) == 7);
    return 0;
}
#endif
