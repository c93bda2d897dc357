// A process in the program's own memory (CLONE_VM without CLONE_THREAD), which stops its threads by ptrace
// and then looks at all of that memory, again and again: what the leak checker of a sanitizer does at exit.
// The threads page and map meanwhile. Stopped, they may stand in nobody's way.
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define PAGES 1024
#define LOOKED_AT 96
#define ROUNDS 60
#define STACK (256 * KIB)

static volatile uint64_t *memory;
static _Atomic int threads[2];
static atomic_int over;
// What the tracer found wrong: it shares errno and the streams, and leaves both alone.
static const char *volatile complaint;

static uint64_t word_of(uint64_t page) { return mix(7, page); }

static volatile uint64_t *first_word(uint64_t page) { return memory + page * (PAGE / 8); }

// Stops a thread, one that is seized without a signal. A signal that comes first is handed on.
static int stop(int tid, int seizes) {
    int status = 0;
    if (!seizes && ptrace(PTRACE_ATTACH, tid, NULL, NULL)) return -1;
    if (seizes && (ptrace(PTRACE_SEIZE, tid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))) return -1;
    for (;;) {
        if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) return -1;
        if (seizes ? status >> 16 == PTRACE_EVENT_STOP : WSTOPSIG(status) == SIGSTOP) return 0;
        if (ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)WSTOPSIG(status))) return -1;
    }
}

static int trace(void *unused) {
    (void)unused;
    uint64_t page = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++)
            if (stop(threads[i], round % 2)) complaint = "a thread cannot be stopped";
        for (int i = 0; i < LOOKED_AT; i++) {
            if (*first_word(page) != word_of(page)) complaint = "a stopped thread's memory has another content";
            page = (page + 11) % PAGES;
        }
        for (int i = 0; i < 2; i++)
            if (ptrace(PTRACE_DETACH, threads[i], NULL, NULL)) complaint = "a thread cannot be let go";
        if (complaint) break;
    }
    atomic_store(&over, 1);
    return 0;
}

// Writes every page again and again, what is there already, and maps and unmaps between.
static void *page_and_map(void *argument) {
    int self = (int)(intptr_t)argument;
    atomic_store(&threads[self], (int)syscall(SYS_gettid));
    for (uint64_t step = 0; !atomic_load(&over); step++) {
        uint64_t page = (step * 7 + (uint64_t)self * 512) % PAGES;
        *first_word(page) = word_of(page);
        if (step % 64 == 0) {
            void *passing = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (passing == MAP_FAILED) abort();
            *(volatile char *)passing = 1;
            munmap(passing, 4 * PAGE);
            // The tracer needs a processor too.
            usleep(100);
        }
    }
    return NULL;
}

int main(void) {
    memory = fresh(PAGES * PAGE);
    for (uint64_t page = 0; page < PAGES; page++) *first_word(page) = word_of(page);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    pthread_t second;
    CHECK(pthread_create(&second, NULL, page_and_map, (void *)1) == 0);
    atomic_store(&threads[0], (int)syscall(SYS_gettid));
    while (!atomic_load(&threads[1])) sched_yield();
    char *stack = fresh(STACK);
    pid_t tracer = clone(trace, stack + STACK, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, NULL);
    CHECK(tracer > 0);
    page_and_map((void *)0);
    CHECK(pthread_join(second, NULL) == 0);
    CHECK(outcome_of(tracer) == 0);
    if (complaint) fprintf(stderr, "%s\n", complaint);
    CHECK(complaint == NULL);
    return finish("lodging_tracer", 0);
}
