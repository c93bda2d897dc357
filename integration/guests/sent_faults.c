// SIGSEGV, SIGBUS and SIGSYS that somebody sends: blocked, ignored, pending across exec and fork, taken in
// the kernel's order by every call that takes signals, by whichever thread, and unseen by calls that they do
// not interrupt.
#include "guest.h"
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGSYS};
static char order[32];

static sigset_t set_of(const int *numbers, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, numbers[i]);
    return set;
}

static void show(const char *what) {
    sigset_t blocked, pending;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && sigpending(&pending) == 0);
    printf("%s:", what);
    for (int i = 1; i < 32; i++) {
        struct sigaction action;
        CHECK(sigaction(i, NULL, &action) == 0);
        const char *how = action.sa_handler == SIG_IGN ? "ignored" : "";
        if (sigismember(&blocked, i) || sigismember(&pending, i) || *how)
            printf(" %d %s%s%s", i, sigismember(&blocked, i) ? "blocked " : "", sigismember(&pending, i) ? "pending " : "", how);
    }
    printf("\n");
    fflush(stdout);
}

static void on_signal(int number) {
    size_t at = strlen(order);
    CHECK(at + 4 < sizeof order);
    sprintf(order + at, "%d ", number);
}

static void across_exec(void) {
    for (int how = 0; how < 3; how++) {
        pid_t child = fork();
        if (child == 0) {
            sigset_t set = set_of(FAULTS, 3);
            if (how == 0) CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
            if (how == 1)
                for (int i = 0; i < 3; i++) signal(FAULTS[i], SIG_IGN);
            if (how == 2) {
                // Ignored later: what is pending is lost, and what comes while it is blocked is not.
                CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && kill(getpid(), SIGSEGV) == 0);
                CHECK(signal(SIGSEGV, SIG_IGN) == SIG_DFL && kill(getpid(), SIGBUS) == 0);
            } else {
                for (int i = 0; i < 3; i++) CHECK(kill(getpid(), FAULTS[i]) == 0);
            }
            execl("/proc/self/exe", "sent_faults", how == 0 ? "blocked" : how == 1 ? "ignored" : "both", NULL);
            _exit(98);
        }
        CHECK(outcome_of(child) == 0);
    }
    // By way of a program that is told nothing of the run.
    pid_t child = fork();
    if (child == 0) {
        sigset_t set = set_of(FAULTS, 2);
        CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGSEGV) == 0);
        CHECK(execl("/nonexistent/program", "program", NULL) == -1 && errno == ENOENT);
        show("after an exec that failed");
        _exit(0);
    }
    CHECK(outcome_of(child) == 0);
}

static void in_order(void) {
    int all[] = {SIGSEGV, SIGBUS, SIGSYS, SIGILL, SIGUSR1, SIGHUP};
    sigset_t set = set_of(all, 6);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    for (int i = 0; i < 6; i++) CHECK(kill(getpid(), all[i]) == 0);
    printf("taken:");
    for (int i = 0; i < 6; i++) {
        siginfo_t info;
        CHECK(sigtimedwait(&set, &info, &(struct timespec){0, 0}) == info.si_signo && info.si_pid == getpid());
        printf(" %d", info.si_signo);
    }
    CHECK(sigtimedwait(&set, NULL, &(struct timespec){0, 1000000}) == -1 && errno == EAGAIN);
    int reader = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(reader >= 0);
    struct pollfd ready = {.fd = reader, .events = POLLIN};
    CHECK(poll(&ready, 1, 0) == 0);
    for (int i = 0; i < 6; i++) CHECK(raise(all[i]) == 0);
    CHECK(poll(&ready, 1, 1000) == 1);
    struct signalfd_siginfo infos[8];
    ssize_t got = read(reader, infos, sizeof infos);
    printf("\nread:");
    for (unsigned i = 0; i < got / sizeof *infos; i++) printf(" %u", infos[i].ssi_signo);
    printf("\n");
    CHECK(poll(&ready, 1, 0) == 0 && close(reader) == 0);
    // Handlers: the last frame runs first; one may block another.
    struct sigaction action = {.sa_handler = on_signal, .sa_mask = set_of(FAULTS, 1)};
    for (int i = 0; i < 6; i++) CHECK(sigaction(all[i], &action, NULL) == 0 && raise(all[i]) == 0);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    printf("handled: %s\n", order);
    for (int i = 0; i < 6; i++) signal(all[i], SIG_DFL);
}

static int to_take = SIGSEGV;
static void *taker(void *unused) {
    (void)unused;
    sigset_t set = set_of(&to_take, 1);
    int got = 0;
    CHECK(sigwait(&set, &got) == 0);
    return (void *)(intptr_t)got;
}

static void by_any_thread(void) {
    sigset_t set = set_of(FAULTS, 3);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *got = NULL;
        to_take = FAULTS[i];
        CHECK(pthread_create(&thread, NULL, taker, NULL) == 0);
        usleep(i * 20000);
        CHECK(kill(getpid(), to_take) == 0 && pthread_join(thread, &got) == 0);
        printf("another thread took %d\n", (int)(intptr_t)got);
    }
    show("afterwards");
}

// A signal that is blocked or ignored ends no call.
static void unseen(void) {
    for (int how = 0; how < 2; how++) {
        sigset_t set = set_of(FAULTS, 3);
        for (int i = 0; i < 3; i++) signal(FAULTS[i], how == 0 ? SIG_DFL : SIG_IGN);
        CHECK(sigprocmask(how == 0 ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL) == 0);
        pid_t parent = getpid(), child = fork();
        if (child == 0) {
            usleep(20000);
            for (int i = 0; i < 3; i++) kill(parent, FAULTS[i]);
            _exit(0);
        }
        double begin = now_ns();
        CHECK(poll(NULL, 0, 100) == 0 && now_ns() - begin > 99e6);
        CHECK(outcome_of(child) == 0);
        show(how == 0 ? "blocked in poll" : "ignored in poll");
    }
}

// To a child that does nothing yet, and to its parent while it forks.
static void around_fork(void) {
    sigset_t set = set_of(FAULTS, 3);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    for (int i = 0; i < 3; i++) signal(FAULTS[i], SIG_DFL);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0)
            for (;;) pause();
        CHECK(kill(child, FAULTS[i % 3]) == 0 && outcome_of(child) == 1000 + FAULTS[i % 3]);
    }
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGBUS) == 0 && kill(getpid(), SIGSYS) == 0);
    pid_t child = fork();
    if (child == 0) {
        show("in a child");
        _exit(0);
    }
    CHECK(outcome_of(child) == 0);
    show("in its parent");
}

int main(int count, char **arguments) {
    if (count > 1) {
        show(arguments[1]);
        sigset_t set = set_of(FAULTS, 3);
        struct timespec now = {0, 0};
        for (int got; (got = sigtimedwait(&set, NULL, &now)) > 0;) printf("took %d\n", got);
        return 0;
    }
    across_exec();
    in_order();
    by_any_thread();
    unseen();
    around_fork();
    return finish("sent_faults", 0);
}
