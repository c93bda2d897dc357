// Conditions, mutexes (plain, robust, timed), barriers, read-write locks, thread-local data, once,
// cancellation.
#include "guest.h"
#include <pthread.h>
#include <time.h>

enum { THREADS = 6, ITEMS = 3000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t together;
static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static pthread_key_t key;
static __thread uint64_t local = 5;
static __thread unsigned char large_local[20000];
static int turn, destroyed;
static uint64_t total;

static void destroy(void *value) {
    CHECK((uintptr_t)value >= 100);
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}
static void *work(void *argument) {
    int id = (int)(uintptr_t)argument;
    CHECK(pthread_setspecific(key, (void *)(uintptr_t)(100 + id)) == 0 && local == 5 && large_local[19999] == 0);
    large_local[19999] = (unsigned char)id;
    for (int i = 0; i < ITEMS / THREADS; i++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (turn != id) CHECK(pthread_cond_wait(&changed, &lock) == 0);
        total = mix(total, (uint64_t)id);
        turn = (turn + 1) % THREADS;
        CHECK(pthread_cond_broadcast(&changed) == 0 && pthread_mutex_unlock(&lock) == 0);
        local += (uint64_t)i;
    }
    pthread_barrier_wait(&together);
    CHECK(pthread_rwlock_rdlock(&shared) == 0 && pthread_rwlock_unlock(&shared) == 0);
    CHECK(large_local[19999] == (unsigned char)id);
    return (void *)(uintptr_t)local;
}
static pthread_mutex_t robust;
static void *die_holding(void *argument) {
    CHECK(pthread_mutex_lock(&robust) == 0);
    return argument;
}
static void *sleep_for_ever(void *argument) {
    for (;;) sleep(100);
    return argument;
}

int main(void) {
    pthread_t threads[THREADS], other;
    CHECK(pthread_key_create(&key, destroy) == 0 && pthread_barrier_init(&together, NULL, THREADS) == 0);
    for (uintptr_t t = 0; t < THREADS; t++) CHECK(pthread_create(&threads[t], NULL, work, (void *)t) == 0);
    for (int t = 0; t < THREADS; t++) {
        void *result;
        CHECK(pthread_join(threads[t], &result) == 0 && (uintptr_t)result == 5 + 500 * 499 / 2);
    }
    CHECK(destroyed == THREADS);
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0 && pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(&robust, &attributes) == 0 && pthread_create(&other, NULL, die_holding, NULL) == 0);
    CHECK(pthread_join(other, NULL) == 0 && pthread_mutex_lock(&robust) == EOWNERDEAD);
    struct timespec soon;
    CHECK(clock_gettime(CLOCK_REALTIME, &soon) == 0);
    CHECK(pthread_mutex_lock(&lock) == 0 && pthread_cond_timedwait(&changed, &lock, &soon) == ETIMEDOUT);
    void *result;
    CHECK(pthread_create(&other, NULL, sleep_for_ever, NULL) == 0 && pthread_cancel(other) == 0);
    CHECK(pthread_join(other, &result) == 0 && result == PTHREAD_CANCELED);
    return finish("pthreads", total);
}
