// Handlers inside handlers, a storm of them from another thread during work, one-shot and ignored signals.
#include "guest.h"
#include <pthread.h>

static volatile int depth, deepest, storm, stop;
static void nest(int number) {
    (void)number;
    depth++;
    if (depth > deepest) deepest = depth;
    volatile char room[3000];
    for (unsigned i = 0; i < sizeof room; i++) room[i] = (char)depth;
    if (depth < 12) CHECK(raise(SIGUSR1) == 0);
    for (unsigned i = 0; i < sizeof room; i++) CHECK(room[i] == (char)depth);
    depth--;
}
static void count(int number) {
    (void)number;
    storm++;
}
static void *send(void *argument) {
    pthread_t target = *(pthread_t *)argument;
    for (int i = 0; i < 100000 && !stop; i++) {
        CHECK(pthread_kill(target, SIGUSR2) == 0);
        usleep(50);
    }
    return NULL;
}

int main(void) {
    struct sigaction action = {.sa_handler = nest, .sa_flags = SA_NODEFER};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0 && deepest == 12 && depth == 0);
    action = (struct sigaction){.sa_handler = count, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    pthread_t self = pthread_self(), sender;
    CHECK(pthread_create(&sender, NULL, send, &self) == 0);
    uint64_t sum = 0;
    double fraction = 0;
    for (uint64_t round = 0; round < 60 || storm < 50; round++) {
        unsigned char *bytes = malloc(400 * KIB);
        for (size_t i = 0; i < 400 * KIB; i += 64) bytes[i] = (unsigned char)(round + i / 64);
        for (size_t i = 0; i < 400 * KIB; i += 64) CHECK(bytes[i] == (unsigned char)(round + i / 64));
        for (size_t i = 0; round < 60 && i < 400 * KIB; i += 64) sum = mix(sum, bytes[i]), fraction += 1.0 / (double)(i + 1);
        free(bytes);
    }
    stop = 1;
    CHECK(pthread_join(sender, NULL) == 0 && storm > 0);
    action = (struct sigaction){.sa_handler = count, .sa_flags = SA_RESETHAND};
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0 && raise(SIGUSR2) == 0);
    CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR && raise(SIGUSR2) == 0);
    uint64_t bits;
    memcpy(&bits, &fraction, sizeof bits);
    return finish("signals_nested", mix(sum, bits));
}
