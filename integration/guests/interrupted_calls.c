// A timer without SA_RESTART that fires all the time: what does not wait is never cut short and never says
// EINTR; what waits does.
#include "guest.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

enum { SMALL = 200, SMALL_ROUNDS = 4000, BIG = 300 * 1024 + 77, BIG_ROUNDS = 12, PIPE_ROUNDS = 8000, WAITS = 60 };

static volatile uint64_t ticks;

static void tick(int number) {
    (void)number;
    ticks++;
}

static int scratch_file(void) {
    char name[] = "/tmp/interrupted_calls.XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    return fd;
}

// Every transfer of a regular file is whole, small or large against the cap, whichever call makes it.
static uint64_t regular_files(void) {
    static unsigned char out[BIG], in[BIG];
    int fd = scratch_file();
    for (size_t i = 0; i < BIG; i++) out[i] = (unsigned char)mix(i, 3);
    for (int i = 0; i < SMALL_ROUNDS; i++) {
        off_t at = (off_t)i % 64 * SMALL;
        CHECK(lseek(fd, at, SEEK_SET) == at && write(fd, out + at, SMALL) == SMALL);
        CHECK(pread(fd, in, SMALL, at) == SMALL && memcmp(in, out + at, SMALL) == 0);
    }
    for (int i = 0; i < BIG_ROUNDS; i++) {
        struct iovec from[2] = {{out, 1000}, {out + 1000, BIG - 1000}}, into[2] = {{in, BIG - 3}, {in + BIG - 3, 3}};
        memset(in, 0, BIG);
        CHECK(lseek(fd, 0, SEEK_SET) == 0 && (i % 2 ? writev(fd, from, 2) : write(fd, out, BIG)) == BIG);
        CHECK((i % 3 ? preadv(fd, into, 2, 0) : pread(fd, in, BIG, 0)) == BIG && memcmp(in, out, BIG) == 0);
    }
    close(fd);
    return mix_bytes(0, out, BIG);
}

// What need not wait in a pipe is done.
static void ready_pipes(const int ends[2]) {
    char byte;
    for (int i = 0; i < PIPE_ROUNDS; i++) {
        byte = (char)i;
        CHECK(write(ends[1], &byte, 1) == 1);
        byte = 0;
        CHECK(read(ends[0], &byte, 1) == 1 && byte == (char)i);
    }
}

// What waits says EINTR, and a sleep how much of it is left.
static void waits(const int ends[2]) {
    static unsigned word;
    char byte;
    for (int i = 0; i < WAITS; i++) {
        CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR);
        struct timespec wish = {30, 0}, rest = {0, 0};
        CHECK(nanosleep(&wish, &rest) == -1 && errno == EINTR && rest.tv_sec >= 10);
        CHECK(poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 30000) == -1 && errno == EINTR);
        CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL) == -1 && errno == EINTR);
        CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &wish) == -1 && errno == EINTR);
        CHECK(pause() == -1 && errno == EINTR);
    }
}

int main(void) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    struct sigaction action = {.sa_handler = tick};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 100}, {0, 100}}, NULL) == 0);
    uint64_t sum = regular_files();
    ready_pipes(ends);
    waits(ends);
    CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL) == 0);
    CHECK(ticks >= WAITS);
    return finish("interrupted_calls", sum);
}
