// Recursion that makes the stack grow by megabytes, in the main thread and in a thread of its own.
#include "guest.h"
#include <pthread.h>

static uint64_t descend(unsigned depth) {
    volatile unsigned char room[3000];
    for (unsigned i = 0; i < sizeof room; i += 100) room[i] = (unsigned char)(depth + i);
    uint64_t below = depth ? descend(depth - 1) : 1;
    uint64_t sum = 0;
    for (unsigned i = 0; i < sizeof room; i += 100) {
        CHECK(room[i] == (unsigned char)(depth + i));
        sum += room[i];
    }
    return mix(below, sum);
}
static void *in_thread(void *argument) {
    *(uint64_t *)argument = descend(2000);
    return NULL;
}

int main(void) {
    uint64_t first = descend(2000), again = descend(2200), other = 0;
    pthread_t thread;
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 16 * MIB) == 0);
    CHECK(pthread_create(&thread, &attributes, in_thread, &other) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(other == first);
    return finish("deep_stack", mix(first, again));
}
