// A thousand threads that come and go, joined and detached, some leaving by pthread_exit; then the main
// thread leaves first.
#include "guest.h"
#include <pthread.h>

static int alive;
static void *brief(void *argument) {
    uint64_t id = (uint64_t)(uintptr_t)argument;
    unsigned char room[9000];
    memset(room, (int)id, sizeof room);
    uint64_t sum = mix_bytes(id, room, sizeof room);
    if (id % 3 == 0) pthread_exit((void *)(uintptr_t)sum);
    return (void *)(uintptr_t)sum;
}
static void *detached(void *argument) {
    brief(argument == NULL ? (void *)1 : (void *)2);
    __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    return NULL;
}
static void *last(void *argument) {
    usleep(20000);
    exit(finish("thread_exits", (uint64_t)(uintptr_t)argument));
}

int main(void) {
    uint64_t sum = 0;
    pthread_t thread, four[4];
    for (uintptr_t i = 0; i < 1000; i += 4) {
        for (uintptr_t j = 0; j < 4; j++) CHECK(pthread_create(&four[j], NULL, brief, (void *)(i + j)) == 0);
        for (uintptr_t j = 0; j < 4; j++) {
            void *result;
            CHECK(pthread_join(four[j], &result) == 0);
            sum = mix(sum, (uint64_t)(uintptr_t)result);
        }
    }
    for (int i = 0; i < 100; i++) {
        __atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
        CHECK(pthread_create(&thread, NULL, detached, NULL) == 0 && pthread_detach(thread) == 0);
    }
    while (__atomic_load_n(&alive, __ATOMIC_SEQ_CST)) usleep(1000);
    CHECK(pthread_create(&thread, NULL, last, (void *)(uintptr_t)sum) == 0);
    pthread_exit(NULL);
}
