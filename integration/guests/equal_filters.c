// Filters that are equal are not the same: TSYNC refuses to give its caller's filters to a thread that has
// installed equal ones by itself, and takes threads that have inherited theirs, or whose equal ones are gone
// with them.
#include "guest.h"
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static const struct sock_fprog program = {sizeof code / sizeof *code, code};
static pthread_barrier_t begun, over;
static volatile int thread_number;

static long install(unsigned flags) { return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program); }

static const char *told(long answer) { return answer == 0 ? "done" : answer < 0 ? strerror(errno) : answer == thread_number ? "the thread" : "another"; }

static void *stay(void *filters) {
    thread_number = (int)syscall(SYS_gettid);
    for (long i = 0; i < (long)filters; i++) CHECK(install(0) == 0);
    pthread_barrier_wait(&begun);
    pthread_barrier_wait(&over);
    return (void *)(syscall(SYS_getppid) == -1 ? (long)errno : 0L);
}

static void *leave(void *unused) {
    CHECK(install(0) == 0);
    return unused;
}

static int threads(void) {
    DIR *list = opendir("/proc/self/task");
    CHECK(list);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(list));) count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

// How many there are where this one is alone: one, or a thread of the pager's more.
static int alone;

// A thread that was waited for is not gone at once, and TSYNC meets it until then.
static void until_alone(void) {
    while (threads() != alone) sched_yield();
}

// A thread with so many filters of its own, while its creator has as many as `own`: what TSYNC says.
static void meet(const char *what, long filters, int own) {
    pthread_t thread;
    void *found;
    CHECK(pthread_create(&thread, NULL, stay, (void *)filters) == 0);
    pthread_barrier_wait(&begun);
    for (int i = 0; i < own; i++) CHECK(install(0) == 0);
    long plain = install(SECCOMP_FILTER_FLAG_TSYNC);
    printf("%s: %s", what, told(plain));
    long named = install(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
    printf(", %s", told(named));
    pthread_barrier_wait(&over);
    CHECK(pthread_join(thread, &found) == 0);
    until_alone();
    printf("; the thread's call %ld, ours %ld\n", (long)found, syscall(SYS_getppid) == -1 ? (long)errno : 0L);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    alone = threads();
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(pthread_barrier_init(&begun, NULL, 2) == 0 && pthread_barrier_init(&over, NULL, 2) == 0);
    meet("an equal filter of its own", 1, 1);
    meet("inherited ones and an equal one on top", 1, 1);
    meet("two equal ones", 2, 1);
    meet("inherited ones", 0, 1);
    meet("inherited ones, none new", 0, 0);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, leave, NULL) == 0 && pthread_join(thread, NULL) == 0);
        until_alone();
    }
    meet("after others with equal ones have gone", 0, 1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        meet("in a child, an equal one", 1, 1);
        meet("in a child, inherited ones", 0, 1);
        return 0;
    }
    printf("its end: %d\n", outcome_of(child));
    return 0;
}
