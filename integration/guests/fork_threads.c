// Forks while four other threads write: the child sees a sane heap and can allocate, write and exit.
#include "guest.h"
#include <pthread.h>

static volatile int stop;
static void *writer(void *argument) {
    uint64_t id = (uint64_t)(uintptr_t)argument;
    while (!stop) {
        size_t length = 1000 + mix(id, id) % 200000;
        unsigned char *bytes = malloc(length);
        memset(bytes, (int)id, length);
        CHECK(bytes[length - 1] == (unsigned char)id);
        free(bytes);
    }
    return NULL;
}

int main(void) {
    unsigned char *mine = fresh(MIB);
    for (size_t i = 0; i < MIB; i++) mine[i] = (unsigned char)(i * 7);
    uint64_t wanted = mix_bytes(0, mine, MIB);
    pthread_t threads[4];
    for (uintptr_t t = 0; t < 4; t++) CHECK(pthread_create(&threads[t], NULL, writer, (void *)(t + 1)) == 0);
    int total = 0;
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            if (mix_bytes(0, mine, MIB) != wanted) _exit(90);
            memset(mine, i, MIB);
            char *more = malloc(300 * KIB);
            memset(more, 1, 300 * KIB);
            _exit(i);
        }
        total += outcome_of(pid);
    }
    stop = 1;
    for (int t = 0; t < 4; t++) CHECK(pthread_join(threads[t], NULL) == 0);
    CHECK(total == 190 && mix_bytes(0, mine, MIB) == wanted);
    return finish("fork_threads", wanted);
}
