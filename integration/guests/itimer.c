// Interval timers that tick while the program computes: real, profiling, and a POSIX timer.
#include "guest.h"
#include <sys/time.h>
#include <time.h>

static volatile int real_ticks, profile_ticks, posix_ticks;
static void on_tick(int number) {
    if (number == SIGALRM) real_ticks++;
    if (number == SIGPROF) profile_ticks++;
    if (number == SIGRTMIN) posix_ticks++;
}

int main(void) {
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGPROF, &action, NULL) == 0);
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
    struct itimerval every = {{0, 10000}, {0, 10000}};
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0 && setitimer(ITIMER_PROF, &every, NULL) == 0);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &(struct itimerspec){{0, 10000000}, {0, 10000000}}, NULL) == 0);
    uint64_t sum = 0;
    unsigned char *bytes = fresh(8 * MIB);
    for (uint64_t i = 0; real_ticks < 5 || profile_ticks < 5 || posix_ticks < 5; i++) {
        unsigned char *at = bytes + mix(1, i) % (8 * MIB);
        *at = (unsigned char)i;
        CHECK(*at == (unsigned char)i);
    }
    sum = mix(sum, 5);
    CHECK(timer_delete(timer) == 0);
    return finish("itimer", sum);
}
