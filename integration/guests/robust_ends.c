// A robust mutex that processes share, whose owner ends in every way there is, and the word that the kernel
// clears for a process that shares memory.
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/futex.h>

static pthread_mutex_t *mutex;

static void *lock_and_stay(void *unused) {
    (void)unused;
    CHECK(pthread_mutex_lock(mutex) == 0);
    for (;;) pause();
}

static const char *const WAYS[] = {"exit",    "_exit", "a signal", "abort",        "a fault", "exec",
                                   "another", "pthread_exit", "SIGKILL", "exec that fails", "exec by a thread"};

static void *execute(void *unused) {
    (void)unused;
    execl("/proc/self/exe", "robust_ends", "again", NULL);
    return NULL;
}

static void end(int how) {
    pthread_t thread;
    if (how != 6) CHECK(pthread_mutex_lock(mutex) == 0);
    switch (how) {
    case 0: exit(0);
    case 1: _exit(0);
    case 2: raise(SIGTERM); break;
    case 3: abort();
    case 4: *(volatile int *)0 = 1; break;
    case 5: execute(NULL); break;
    case 6:
        CHECK(pthread_create(&thread, NULL, lock_and_stay, NULL) == 0);
        while (pthread_mutex_trylock(mutex) != EBUSY) pthread_mutex_unlock(mutex), usleep(1000);
        exit(0);
    case 7: pthread_exit(NULL);
    case 8: raise(SIGKILL); break;
    case 9:
        CHECK(execl("/nonexistent/program", "program", NULL) == -1);
        CHECK(pthread_mutex_unlock(mutex) == 0);
        _exit(0);
    case 10:
        CHECK(pthread_create(&thread, NULL, execute, NULL) == 0);
        for (;;) pause();
    }
}

static void robust(int protocol) {
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutexattr_setprotocol(&attributes, protocol) == 0);
    for (int how = 0; how < 11; how++) {
        mutex = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(mutex != MAP_FAILED && pthread_mutex_init(mutex, &attributes) == 0);
        pid_t child = fork();
        if (child == 0) end(how), _exit(97);
        int ended = outcome_of(child);
        struct timespec limit;
        CHECK(clock_gettime(CLOCK_REALTIME, &limit) == 0);
        limit.tv_sec += 10;
        int result = pthread_mutex_timedlock(mutex, &limit);
        printf("%s: %d, %s\n", WAYS[how], ended, result ? strerror(result) : "locked");
        fflush(stdout);
    }
}

static int way;
static int lodge(void *unused) {
    (void)unused;
    usleep(20000);
    if (way == 0) _exit(3);
    if (way == 1) syscall(SYS_exit, 4);
    if (way == 2) kill(getpid(), SIGKILL);
    if (way == 3) kill(getpid(), SIGTERM);
    if (way == 4) *(volatile int *)0 = 1;
    return 5;
}

static void lodgers(void) {
    char *stack = fresh(64 * PAGE);
    int *word = fresh(PAGE);
    for (way = 0; way < 6; way++) {
        *word = -1;
        int flags = CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
        int child = clone(lodge, stack + 64 * PAGE, flags, NULL, word, NULL, word);
        CHECK(child > 0);
        struct timespec limit = {10, 0};
        int timed_out = 0;
        while (*(volatile int *)word == child && !timed_out)
            timed_out = syscall(SYS_futex, word, FUTEX_WAIT, child, &limit, NULL, 0) == -1 && errno == ETIMEDOUT;
        printf("lodger %d: word %d, %s, %d\n", way, *word, timed_out ? "timed out" : "woken", outcome_of(child));
        fflush(stdout);
    }
}

int main(int count, char **arguments) {
    (void)arguments;
    if (count > 1) return 0;
    struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
    robust(PTHREAD_PRIO_NONE);
    robust(PTHREAD_PRIO_INHERIT);
    lodgers();
    return finish("robust_ends", 0);
}
