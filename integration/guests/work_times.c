// Times work that makes few system calls: arithmetic, memory, and threads that hand over to each other.
// Prints "kind nanoseconds".
#include "guest.h"
#include <pthread.h>

enum { ROUNDS = 100000000, WORDS = 8 << 20, PASSES = 20, HOPS = 20000, LOCKS = 200000, THREADS = 4 };

static void report(const char *kind, double from) { printf("%s %.0f\n", kind, now_ns() - from); }

static volatile uint64_t sink;

static void arithmetic(void) {
    double from = now_ns();
    uint64_t hash = 1;
    for (uint64_t i = 0; i < ROUNDS; i++) hash = mix(hash, i);
    sink = hash;
    report("CPU-bound", from);
}

// 64 MiB, written once and then read in order and out of order.
static void memory(void) {
    double from = now_ns();
    uint64_t *words = fresh(WORDS * sizeof *words), sum = 0;
    for (size_t i = 0; i < WORDS; i++) words[i] = i;
    for (int pass = 0; pass < PASSES; pass++) {
        for (size_t i = 0; i < WORDS; i++) sum += words[i];
        for (size_t i = 0; i < WORDS / 16; i++) sum += words[i * 7919 % WORDS];
    }
    sink = sum;
    report("memory-bound, first touches included", from);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;

static void *hand_over(void *argument) {
    int mine = *(int *)argument;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < HOPS; i++) {
        while (turn != mine) pthread_cond_wait(&turned, &mutex);
        turn = !mine;
        pthread_cond_signal(&turned);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *compete(void *argument) {
    uint64_t *sum = argument;
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_lock(&mutex);
        *sum = mix(*sum, (uint64_t)i);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void run_threads(int count, void *(*body)(void *), void *arguments, size_t size) {
    pthread_t threads[THREADS];
    for (int i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, body, (char *)arguments + (size_t)i * size) == 0);
    for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void threads(void) {
    int numbers[2] = {0, 1};
    double from = now_ns();
    run_threads(2, hand_over, numbers, sizeof *numbers);
    report("threads that hand over by a condition", from);
    uint64_t sum = 1;
    from = now_ns();
    run_threads(THREADS, compete, &sum, 0);
    sink = sum;
    report("threads that compete for a lock", from);
}

int main(void) {
    arithmetic();
    memory();
    threads();
    return 0;
}
