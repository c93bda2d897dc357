// Dies by a SIGTERM that it sends to itself from a second thread.
#include "guest.h"
#include <pthread.h>
static void *shoot(void *argument) {
    kill(getpid(), SIGTERM);
    return argument;
}
int main(void) {
    pthread_t thread;
    puts("terminated before");
    fflush(stdout);
    CHECK(pthread_create(&thread, NULL, shoot, NULL) == 0);
    for (;;) pause();
}
