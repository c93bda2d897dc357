// Two processes and two threads exchange numbers over pipes.
#include "guest.h"
#include <pthread.h>

static void send_word(int fd, uint64_t word) { CHECK(write(fd, &word, sizeof word) == sizeof word); }
static uint64_t receive_word(int fd) {
    uint64_t word;
    CHECK(read(fd, &word, sizeof word) == sizeof word);
    return word;
}

struct ends { int in, out; };
static void *echo(void *argument) {
    struct ends *ends = argument;
    for (int i = 0; i < 2000; i++) send_word(ends->out, mix(receive_word(ends->in), 1));
    return NULL;
}

static uint64_t play(int out, int in) {
    uint64_t word = 1;
    for (int i = 0; i < 2000; i++) {
        send_word(out, word);
        word = receive_word(in);
    }
    return word;
}

int main(void) {
    int there[2], back[2];
    CHECK(pipe(there) == 0 && pipe(back) == 0);
    struct ends ends = {there[0], back[1]};
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        echo(&ends);
        _exit(4);
    }
    uint64_t first = play(there[1], back[0]);
    CHECK(outcome_of(pid) == 4);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, echo, &ends) == 0);
    CHECK(play(there[1], back[0]) == first);
    CHECK(pthread_join(thread, NULL) == 0);
    return finish("ping_pong", first);
}
