// Real-time signals are queued in order with their values; ordinary ones collapse into one.
#include "guest.h"

static volatile int values[64], count, plain;
static void on_queued(int number, siginfo_t *info, void *context) {
    (void)context;
    CHECK(info->si_code == SI_QUEUE && info->si_pid == getpid());
    values[count++] = (number - SIGRTMIN) * 1000 + info->si_value.sival_int;
}
static void on_plain(int number) {
    (void)number;
    plain++;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0 && sigaction(SIGRTMIN + 1, &action, NULL) == 0);
    CHECK(signal(SIGUSR1, on_plain) != SIG_ERR);
    sigset_t all, old;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, &old) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}) == 0);
        CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}) == 0);
        CHECK(kill(getpid(), SIGUSR1) == 0);
    }
    CHECK(count == 0 && plain == 0);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK(count == 40 && plain == 1);
    uint64_t sum = 0;
    for (int i = 0; i < 20; i++) CHECK(values[i] == i && values[20 + i] == 1000 + i);
    for (int i = 0; i < 40; i++) sum = mix(sum, (uint64_t)values[i]);
    return finish("signals_queue", sum);
}
