// What prctl(2) says of the process and its threads: nothing of it is the pager's.
#include "guest.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void show_death_signal(const char *when) {
    int number = -1;
    CHECK(prctl(PR_GET_PDEATHSIG, &number) == 0);
    printf("%s: %d\n", when, number);
    fflush(stdout);
}

static void *thread_of_its_own(void *unused) {
    (void)unused;
    int *address = NULL;
    int number = (int)syscall(SYS_gettid);
    CHECK(prctl(PR_GET_TID_ADDRESS, &address) == 0);
    printf("its number is there: %d\n", address && *address == number);
    // As a restored process does it: nothing changes, and the thread can be joined.
    CHECK(syscall(SYS_set_tid_address, address) == number);
    int *again = NULL;
    CHECK(prctl(PR_GET_TID_ADDRESS, &again) == 0 && again == address);
    return NULL;
}

int main(int count, char **arguments) {
    (void)arguments;
    if (count > 1) {
        show_death_signal("executed");
        return 0;
    }
    show_death_signal("at first");
    CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
    show_death_signal("set");
    pid_t child = fork();
    if (child == 0) {
        show_death_signal("in a child");
        CHECK(prctl(PR_SET_PDEATHSIG, SIGHUP) == 0);
        execl("/proc/self/exe", "own_attributes", "again", NULL);
        _exit(98);
    }
    CHECK(outcome_of(child) == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
    show_death_signal("cleared");
    CHECK(prctl(PR_GET_TID_ADDRESS, (void *)8) == -1 && errno == EFAULT);
    pthread_t thread;
    struct timespec limit;
    CHECK(clock_gettime(CLOCK_REALTIME, &limit) == 0);
    limit.tv_sec += 20;
    CHECK(pthread_create(&thread, NULL, thread_of_its_own, NULL) == 0 && pthread_timedjoin_np(thread, NULL, &limit) == 0);
    return finish("own_attributes", 0);
}
