// 8 threads that malloc, fill, checksum and free, for a number of rounds (or `-s SECONDS`).
#include "guest.h"
#include <pthread.h>

enum { THREADS = 8, BUFFERS = 16 };
static int rounds = 40, seconds = 0;

static uint64_t fill(uint64_t *words, size_t count, uint64_t seed) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += words[i] = mix(seed, i);
    return sum;
}

static uint64_t one_round(uint64_t seed) {
    uint64_t *buffers[BUFFERS], sums[BUFFERS], total = 0;
    size_t counts[BUFFERS];
    for (int b = 0; b < BUFFERS; b++) {
        counts[b] = 64 + mix(seed, (uint64_t)b) % 60000;
        buffers[b] = malloc(counts[b] * sizeof(uint64_t));
        CHECK(buffers[b]);
        sums[b] = fill(buffers[b], counts[b], seed + (uint64_t)b);
    }
    for (int b = BUFFERS - 1; b >= 0; b--) {
        uint64_t sum = 0;
        for (size_t i = 0; i < counts[b]; i++) sum += buffers[b][i];
        CHECK(sum == sums[b]);
        total = mix(total, sum);
        free(buffers[b]);
    }
    return total;
}

static void *churn(void *argument) {
    uint64_t id = (uint64_t)(uintptr_t)argument, total = 0;
    double end = now_ns() + seconds * 1e9;
    for (int r = 0; seconds ? now_ns() < end : r < rounds; r++) total = mix(total, one_round(id * 1000 + (uint64_t)r));
    return (void *)(uintptr_t)total;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "-s") == 0) seconds = atoi(argv[2]);
    else if (argc == 2) rounds = atoi(argv[1]);
    pthread_t threads[THREADS];
    for (uintptr_t t = 0; t < THREADS; t++) CHECK(pthread_create(&threads[t], NULL, churn, (void *)t) == 0);
    uint64_t sum = 0;
    for (int t = 0; t < THREADS; t++) {
        void *result;
        CHECK(pthread_join(threads[t], &result) == 0);
        sum = mix(sum, (uint64_t)(uintptr_t)result);
    }
    return finish("threads_churn", seconds ? 0 : sum);
}
