// The mask in a handler that ends a call which waits under a mask of its own: that mask and the handler's,
// and afterwards the one from before.
#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>

static int queue;
static volatile int which[4], runs;
static volatile unsigned long inside[4];

static unsigned long bits(void) {
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    return *(unsigned long *)&mask;
}

static void on_signal(int number) {
    CHECK(runs < 4);
    which[runs] = number;
    inside[runs++] = bits();
}

static int wait_with(int call, sigset_t *mask) {
    struct timespec second = {1, 0};
    struct epoll_event event;
    switch (call) {
    case 0: return sigsuspend(mask);
    case 1: return ppoll(NULL, 0, &second, mask);
    case 2: return pselect(0, NULL, NULL, NULL, &second, mask);
    case 3: return epoll_pwait(queue, &event, 1, 1000, mask);
    default: return (int)syscall(441, queue, &event, 1, &second, mask, 8); // epoll_pwait2
    }
}

static void try(int call, const char *what, int first, int second, int pending) {
    sigset_t before, waiting;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2), sigaddset(&before, first);
    if (second) sigaddset(&before, second);
    sigemptyset(&waiting);
    sigaddset(&waiting, SIGCHLD);
    CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    runs = 0;
    if (pending) {
        CHECK(raise(first) == 0 && (!second || raise(second) == 0) && runs == 0);
    } else {
        struct itimerval soon = {{0, 0}, {0, 20000}};
        CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    }
    int result = wait_with(call, &waiting), error = errno;
    printf("%s %d: %d %s, after %lx;", what, call, result, result < 0 ? strerror(error) : "", bits());
    for (int i = 0; i < runs; i++) printf(" %d under %lx", which[i], inside[i]);
    printf("\n");
    fflush(stdout);
    sigemptyset(&before);
    CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
}

int main(void) {
    int numbers[] = {SIGALRM, SIGUSR1, SIGHUP, SIGSEGV, SIGBUS, SIGSYS};
    struct sigaction action = {.sa_handler = on_signal};
    sigaddset(&action.sa_mask, SIGWINCH);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) CHECK(sigaction(numbers[i], &action, NULL) == 0);
    queue = epoll_create1(EPOLL_CLOEXEC);
    CHECK(queue >= 0);
    for (int call = 0; call < 5; call++) {
        try(call, "a timer", SIGALRM, 0, 0);
        try(call, "pending", SIGUSR1, 0, 1);
        try(call, "two", SIGUSR1, SIGHUP, 1);
        try(call, "a fault", SIGSEGV, 0, 1);
        try(call, "two faults", SIGSYS, SIGBUS, 1);
    }
    // A call that has its result under that mask lets nothing in.
    int ends[2];
    sigset_t open, usr1;
    sigemptyset(&open), sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1), sigaddset(&usr1, SIGSEGV);
    CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1 && sigprocmask(SIG_SETMASK, &usr1, NULL) == 0);
    runs = 0;
    CHECK(raise(SIGUSR1) == 0 && raise(SIGSEGV) == 0);
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    int result = ppoll(&ready, 1, NULL, &open);
    printf("ready: %d, %d handled\n", result, runs);
    return finish("waiting_masks", 0);
}
