// Threads, children and signals, each with a result that does not depend on who runs first.
#ifndef DIFFERENTIAL_PROCESS_H
#define DIFFERENTIAL_PROCESS_H
#include "probe.h"
#include <pthread.h>

#define THREADS 3
static pthread_barrier_t barrier;

struct worker {
    uint64_t first, count, hash;
    // Pages of shared mappings may be one and the same: then everyone writes the same.
    bool has_own_pages;
};

// Each fills its own pages, and after everyone has, looks at the next one's.
static void *work(void *argument) {
    struct worker *self = argument;
    for (uint64_t page = self->first; page < self->first + self->count; page++) {
        if (!fill_page(page_at(page), mark_of(self->has_own_pages ? page : 0))) self->hash = mix_caught(self->hash);
    }
    pthread_barrier_wait(&barrier);
    uint64_t next = self->first + self->count;
    self->hash = mix(self->hash, pages_hash(page_at(next < arena_pages ? next : 0), self->count));
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void use_threads(void) {
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    pthread_attr_t small;
    uint64_t count = 1 + below(8), first = below(arena_pages - THREADS * count);
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 64 * KIB) == 0);
    struct span pages = {first, THREADS * count};
    bool has_own_pages = one_in(2);
    tell("threads %lu+%lu", first, count);
    if (has_own_pages) {
        void *at = mmap(page_at(first), pages.count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(at == page_at(first));
        set_units(pages, step + 1);
    }
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){first + i * count, count, 1, has_own_pages};
        CHECK(pthread_create(&threads[i], &small, work, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        tell(" %08x", (unsigned)workers[i].hash);
    }
    tell_pages(pages);
}

static uint64_t act_as_child(struct span seen, struct span written) {
    uint64_t hash = pages_hash(page_at(seen.start), seen.count);
    for (uint64_t page = written.start; page < written.start + written.count; page++) {
        if (!write_word(page_at(page) + 16, mark_of(page) + 1)) hash = mix_caught(hash);
    }
    if (one_in(3)) {
        hash = mix(hash, (uint64_t)munmap(page_at(written.start), PAGE));
        hash = mix(hash, (uint64_t)mprotect(page_at(written.start + written.count - 1), PAGE, PROT_READ));
    }
    return mix(hash, pages_hash(page_at(written.start), written.count));
}

// Takes a number that a child tells by a pipe, and tells it with the child's end.
static void hear_child(pid_t child, int ends[2]) {
    close(ends[1]);
    uint64_t hash = 0;
    tell_result(read(ends[0], &hash, sizeof hash));
    close(ends[0]);
    tell(" child %08x", (unsigned)hash);
    tell(" ended %d", outcome_of(child));
}

static void use_child(void) {
    struct span seen = random_span(), written = random_span();
    unsigned depth = one_in(4) ? 2 : 1;
    int ends[2];
    CHECK(pipe(ends) == 0);
    tell("fork %lu+%lu %lu+%lu", seen.start, seen.count, written.start, written.count);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        uint64_t hash = act_as_child(seen, written);
        if (depth == 2) {
            pid_t grandchild = fork();
            if (grandchild == 0) _exit((int)(act_as_child(written, seen) & 63));
            hash = mix(hash, (uint64_t)outcome_of(grandchild));
        }
        if (write(ends[1], &hash, sizeof hash) != sizeof hash) _exit(94);
        if (one_in(8)) raise(SIGKILL);
        if (one_in(8)) signal(SIGSEGV, SIG_DFL), (void)*(volatile char *)8;
        _exit((int)(step & 63));
    }
    hear_child(child, ends);
    tell_pages(seen);
    tell_pages(written);
}

static volatile uint64_t heard;
static uint64_t touched_by_handler;

static void on_signal(int number, siginfo_t *info, void *context) {
    uint64_t hash = mix(heard, (uint64_t)number * 100 + (uint64_t)(unsigned)info->si_code);
    if (info->si_code == SI_QUEUE) hash = mix(hash, (uint64_t)info->si_value.sival_int);
    // A fault inside the handler, served or caught there.
    heard = mix(hash, page_hash(page_at(touched_by_handler)));
    (void)context;
}

static void listen_to_signals(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    for (int number = SIGRTMIN; number < SIGRTMIN + 3; number++) CHECK(sigaction(number, &action, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
}

static void use_signals(void) {
    sigset_t some, old, pending;
    int numbers[] = {SIGUSR1, SIGUSR2, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2};
    bool held = one_in(2);
    heard = 1;
    touched_by_handler = below(arena_pages);
    tell("signals %d", held);
    sigemptyset(&some);
    for (unsigned i = 0; i < 5; i++) sigaddset(&some, numbers[i]);
    if (held) CHECK(sigprocmask(SIG_BLOCK, &some, &old) == 0);
    for (uint64_t i = 1 + below(6); i > 0; i--) {
        int number = numbers[below(5)];
        if (one_in(2)) tell_result(sigqueue(getpid(), number, (union sigval){.sival_int = (int)i}));
        else tell_result(raise(number));
        tell(" %08x", (unsigned)heard);
    }
    if (held) {
        CHECK(sigpending(&pending) == 0);
        for (unsigned i = 0; i < 5; i++) tell("%d", sigismember(&pending, numbers[i]));
        struct timespec none = {0, 0};
        siginfo_t info = {0};
        if (one_in(2)) tell(" waited %d/%d", sigtimedwait(&some, &info, &none), info.si_code);
        CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
        tell(" %08x", (unsigned)heard);
    }
}
#endif
