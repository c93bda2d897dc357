// A read that a SIGALRM interrupts: with SA_RESTART it goes on, without it says EINTR; sleep and pause wake.
#include "guest.h"
#include <poll.h>
#include <sys/time.h>
#include <time.h>

static volatile int ticks;
static int feed = -1;

static void tick(int number) {
    (void)number;
    if (++ticks >= 3 && feed >= 0) CHECK(write(feed, "x", 1) == 1);
}

static void arm(int flags, int every_ms) {
    struct sigaction action = {.sa_handler = tick, .sa_flags = flags};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = {{0, every_ms * 1000}, {0, every_ms * 1000}};
    ticks = 0;
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void disarm(void) {
    struct itimerval off = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

int main(void) {
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    feed = ends[1];
    arm(SA_RESTART, 20);
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x');
    disarm();
    CHECK(ticks >= 3);
    feed = -1;
    while (poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 0) > 0) CHECK(read(ends[0], &byte, 1) == 1);
    arm(0, 20);
    CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR);
    arm(SA_RESTART, 20);
    CHECK(poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 5000) == -1 && errno == EINTR);
    CHECK(pause() == -1 && errno == EINTR);
    struct timespec wish = {5, 0}, rest = {0, 0};
    CHECK(nanosleep(&wish, &rest) == -1 && errno == EINTR && rest.tv_sec >= 3);
    disarm();
    return finish("signals_restart", 1);
}
