// Blocking, pending, sigwait, sigsuspend, sigtimedwait, and the masks that a handler runs under.
#include "guest.h"
#include <time.h>

static volatile int first, second;
static sigset_t only(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

static void on_first(int number) {
    first++;
    sigset_t now;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
    CHECK(sigismember(&now, number) == 1 && sigismember(&now, SIGUSR2) == 1);
    CHECK(raise(SIGUSR2) == 0 && second == 0);
}

static void on_second(int number) {
    (void)number;
    second++;
}

int main(void) {
    struct sigaction action = {.sa_handler = on_first, .sa_mask = only(SIGUSR2)};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(signal(SIGUSR2, on_second) != SIG_ERR);
    CHECK(raise(SIGUSR1) == 0 && first == 1 && second == 1);
    sigset_t set = only(SIGUSR1), pending, old;
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0 && first == 1);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
    int got = 0;
    CHECK(sigwait(&set, &got) == 0 && got == SIGUSR1 && first == 1);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    second = 0;
    sigset_t none;
    sigemptyset(&none);
    CHECK(sigsuspend(&none) == -1 && errno == EINTR && first == 2);
    CHECK(sigtimedwait(&set, NULL, &(struct timespec){0, 1000000}) == -1 && errno == EAGAIN);
    second = 0;
    CHECK(kill(getpid(), SIGUSR1) == 0 && first == 2);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && first == 3);
    // SIGSEGV, SIGBUS and SIGSYS look blocked when the program asks, although the pager needs them.
    set = only(SIGSEGV);
    sigaddset(&set, SIGBUS), sigaddset(&set, SIGSYS);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && sigprocmask(SIG_BLOCK, NULL, &old) == 0);
    CHECK(sigismember(&old, SIGSEGV) == 1 && sigismember(&old, SIGBUS) == 1 && sigismember(&old, SIGSYS) == 1);
    volatile char *pages = fresh(64 * PAGE);
    for (unsigned i = 0; i < 64; i++) pages[i * PAGE] = (char)i;
    CHECK(kill(getpid(), SIGSEGV) == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGSEGV) == 1);
    CHECK(sigwait(&set, &got) == 0 && got == SIGSEGV);
    return finish("signals_mask", (uint64_t)(first * 10 + pages[63 * PAGE]));
}
