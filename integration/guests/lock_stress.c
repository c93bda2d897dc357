// Every memory call of a program against all that stops or copies the process at once: raw fork whose child
// works or executes, vfork, a tracer in the program's own memory, threads that end, exit from the middle of
// it. So every lock of the runtime is wanted by several threads at once. The argument is the number of
// seconds, 1 without, or with `rounds` behind it the number of forks. A hang is ended by an alarm, and told
// from the end.
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define STACK (128 * KIB)
#define PAGES 24
// What a whole round takes at most, however busy the machine is.
#define PATIENCE_S 100

extern char **environ;
static atomic_int over;
static _Atomic int mover_tid;
static char *self;

static void *mover(void *unused) {
    (void)unused;
    atomic_store(&mover_tid, (int)syscall(SYS_gettid));
    long end = syscall(SYS_brk, 0);
    while (!atomic_load(&over)) {
        if (syscall(SYS_brk, end + 16 * PAGE) != end + 16 * (long)PAGE) continue;
        *(volatile char *)(end + 100) = 1;
        CHECK(syscall(SYS_brk, end) == end);
    }
    return NULL;
}

// One round of each call that changes areas or asks about them. The memory is the thread's own, and holds
// `tag` whenever it is looked at.
static void change_memory(unsigned char tag) {
    unsigned char *at = fresh(PAGES * PAGE), kept[PAGES];
    for (size_t page = 0; page < PAGES; page++) at[page * PAGE] = tag;
    CHECK(mprotect(at + 4 * PAGE, 4 * PAGE, PROT_READ) == 0 && at[5 * PAGE] == tag);
    CHECK(mprotect(at, PAGES * PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(madvise(at + 8 * PAGE, 2 * PAGE, MADV_DONTNEED) == 0 && at[8 * PAGE] == 0);
    CHECK(madvise(at + 10 * PAGE, PAGE, MADV_DONTFORK) == 0 && madvise(at + 11 * PAGE, PAGE, MADV_WIPEONFORK) == 0);
    // One mapping again: mremap moves no more than that.
    CHECK(madvise(at + 10 * PAGE, PAGE, MADV_DOFORK) == 0 && madvise(at + 11 * PAGE, PAGE, MADV_KEEPONFORK) == 0);
    CHECK(mincore(at, PAGES * PAGE, kept) == 0);
    CHECK(mlock(at, 2 * PAGE) == 0 && munlock(at, 2 * PAGE) == 0);
    CHECK(msync(at, PAGE, MS_ASYNC) == 0);
    unsigned char *moved = mremap(at, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && moved[0] == tag && moved[12 * PAGE] == tag && moved[PAGES * PAGE] == 0);
    CHECK(munmap(moved + PAGE, 3 * PAGE) == 0 && moved[4 * PAGE] == tag);
    CHECK(mmap(moved, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == moved);
    CHECK(moved[0] == 0 && munmap(moved, 2 * PAGES * PAGE) == 0);
}

static void *changer(void *argument) {
    for (unsigned char tag = (unsigned char)(intptr_t)argument | 1; !atomic_load(&over); tag = (unsigned char)(tag + 2))
        change_memory(tag | 1);
    return NULL;
}

// Files, limits and signal actions: the locks that no page needs.
static void *asker(void *unused) {
    (void)unused;
    int file = open("/proc/self/exe", O_RDONLY);
    CHECK(file >= 0);
    while (!atomic_load(&over)) {
        unsigned char *image = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
        CHECK(image != MAP_FAILED && image[1] == 'E' && munmap(image, PAGE) == 0);
        struct rlimit limit;
        CHECK(getrlimit(RLIMIT_AS, &limit) == 0 && setrlimit(RLIMIT_AS, &limit) == 0);
        struct sigaction action;
        CHECK(sigaction(SIGUSR2, NULL, &action) == 0);
        char name[4096];
        CHECK(readlink("/proc/self/exe", name, sizeof name) > 0);
    }
    close(file);
    return NULL;
}

static void *nothing(void *argument) { return argument; }

static void *starter(void *unused) {
    (void)unused;
    while (!atomic_load(&over)) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    return NULL;
}

// Stops a thread from inside the program's own memory, and lets it go. A signal that comes first is handed
// on.
static int trace(void *unused) {
    (void)unused;
    int status, tid = atomic_load(&mover_tid);
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL)) return 1;
    for (;;) {
        if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) return 2;
        if (status >> 16 == PTRACE_EVENT_STOP) return ptrace(PTRACE_DETACH, tid, NULL, NULL) ? 3 : 0;
        if (ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)WSTOPSIG(status))) return 4;
    }
}

// A child of a process with threads, which may only make calls: the locks of its C library may be held.
static void child(int round) {
    char *arguments[] = {self, "0", NULL};
    for (int i = 0; i < 3; i++) change_memory(1);
    if (round % 4 == 0) execve("/proc/self/exe", arguments, environ);
    if (round % 4 == 1) syscall(SYS_exit, 0);
    syscall(SYS_exit_group, 0);
}

// Until a moment, or, where `rounds` is not 0, for so many.
static void copy_and_stop(double until, int rounds, char *stack) {
    for (int round = 0; rounds ? round < rounds : now_ns() < until; round++) {
        if (round % 64 == 63) alarm(PATIENCE_S);
        long forked = syscall(SYS_fork);
        CHECK(forked >= 0);
        if (forked == 0) child(round);
        CHECK(outcome_of((pid_t)forked) == 0);
        if (round % 8 == 0) {
            char *arguments[] = {self, "0", NULL};
            pid_t spawned;
            CHECK(posix_spawn(&spawned, "/proc/self/exe", NULL, NULL, arguments, environ) == 0);
            CHECK(outcome_of(spawned) == 0);
        }
        if (round % 4 == 2) {
            pid_t tracer = clone(trace, stack + STACK, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, NULL);
            CHECK(tracer > 0 && outcome_of(tracer) == 0);
        }
    }
}

static void late(int signal) {
    (void)signal;
    static const char text[] = "lock_stress hangs\n";
    _exit(write(2, text, sizeof text - 1) > 0 ? 97 : 96);
}

int main(int count, char **arguments) {
    int amount = count > 1 ? atoi(arguments[1]) : 1;
    int rounds = count > 2 && strcmp(arguments[2], "rounds") == 0 ? amount : 0, seconds = rounds ? 0 : amount;
    self = arguments[0];
    if (amount == 0) return 0;
    signal(SIGALRM, late);
    alarm(PATIENCE_S + (unsigned)seconds);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    char *stack = fresh(STACK);
    // From here on the break is the mover's: the C library has room enough below it.
    free(malloc(64 * KIB));
    pthread_t threads[5];
    CHECK(pthread_create(&threads[0], NULL, mover, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, changer, (void *)1) == 0);
    CHECK(pthread_create(&threads[2], NULL, changer, (void *)101) == 0);
    CHECK(pthread_create(&threads[3], NULL, asker, NULL) == 0);
    CHECK(pthread_create(&threads[4], NULL, starter, NULL) == 0);
    while (!atomic_load(&mover_tid)) sched_yield();
    copy_and_stop(now_ns() + seconds * 1e9, rounds, stack);
    // From the middle of it, as a program that is told to end does.
    if (count > 2 && !rounds) return finish("lock_stress", 1);
    atomic_store(&over, 1);
    for (int i = 0; i < 5; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return finish("lock_stress", 0);
}
