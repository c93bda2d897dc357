// Waits of every kind that the kernel ends with EINTR after any handler. Nobody sends a signal: each lasts as
// long as was asked, and says so.
#include "guest.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

enum { MS = 200 };

static struct timespec span(void) {
    return (struct timespec){.tv_nsec = MS * 1000000L};
}

static void by_nanosleep(void) {
    struct timespec wait = span();
    CHECK(nanosleep(&wait, NULL) == 0);
}

static void by_clock(void) {
    struct timespec until;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_nsec += MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
}

static void by_poll(void) {
    CHECK(poll(NULL, 0, MS) == 0);
}

static void by_ppoll(void) {
    struct timespec wait = span();
    CHECK(ppoll(NULL, 0, &wait, NULL) == 0);
}

static void by_select(void) {
    struct timeval wait = {.tv_usec = MS * 1000L};
    CHECK(select(0, NULL, NULL, NULL, &wait) == 0);
}

static void by_epoll(void) {
    struct epoll_event event;
    int fd = epoll_create1(0);
    CHECK(fd >= 0 && epoll_wait(fd, &event, 1, MS) == 0 && close(fd) == 0);
}

static void by_futex(void) {
    static unsigned word;
    struct timespec wait = span();
    CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait, NULL, 0) == -1 && errno == ETIMEDOUT);
}

static void by_sigtimedwait(void) {
    struct timespec wait = span();
    sigset_t none;
    CHECK(sigemptyset(&none) == 0 && sigtimedwait(&none, NULL, &wait) == -1 && errno == EAGAIN);
}

int main(void) {
    void (*const waits[])(void) = {by_nanosleep, by_clock, by_poll, by_ppoll, by_select, by_epoll, by_futex, by_sigtimedwait};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        double begin = now_ns();
        waits[i]();
        CHECK(now_ns() - begin >= (MS - 1) * 1e6);
    }
    return finish("undisturbed", 0);
}
