// Works for ever, as three processes: this one, a child, and a daemon that forked twice into a session of its
// own. Each goes round memory that is larger than a small cap, and round a large table in the program's own
// file. "ready" on standard output when all have been round once. `tied`: the two others end when the first
// one has. Without an argument: nothing at all.
#include "guest.h"
#include <poll.h>

enum { TABLE = 4 * 1024 * 1024, HEAP = 4 * 1024 * 1024, LIFE = 120 };

// Not all zero, so that it lies in the file.
static const volatile unsigned char table[TABLE] = {1};

static volatile unsigned sink;

// Whether the first process has ended, and the others are to end with it; -1 for never.
static void look(int lifeline) {
    struct pollfd line = {.fd = lifeline, .events = POLLIN};
    if (lifeline >= 0 && poll(&line, 1, 0) > 0) exit(0);
}

// Says once on `ready` that it has been round, unless that is -1.
static void work(int lifeline, int ready) {
    unsigned char *heap = fresh(HEAP);
    alarm(LIFE);
    for (unsigned round = 0;; round++) {
        for (size_t i = 0; i < HEAP; i += PAGE) {
            heap[i] = (unsigned char)(heap[i] + round + i / PAGE);
            sink += table[i % TABLE];
            if (i % (64 * PAGE) == 0) look(lifeline);
        }
        if (round == 0 && ready >= 0) CHECK(write(ready, "x", 1) == 1);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return 0;
    int lifeline[2], ready[2];
    CHECK(pipe(lifeline) == 0 && pipe(ready) == 0);
    int tie = strcmp(argv[1], "tied") == 0 ? lifeline[0] : -1;
    if (fork() == 0) {
        close(lifeline[1]);
        work(tie, ready[1]);
    }
    pid_t middle = fork();
    CHECK(middle >= 0);
    if (middle == 0) {
        close(lifeline[1]);
        CHECK(setsid() > 0);
        if (fork() == 0) work(tie, ready[1]);
        _exit(0);
    }
    if (outcome_of(middle) != 0) return 1;
    close(ready[1]);
    char byte;
    for (int i = 0; i < 2; i++) {
        // Nothing comes when the two were ended.
        if (read(ready[0], &byte, 1) != 1) return 1;
    }
    CHECK(write(STDOUT_FILENO, "ready\n", 6) == 6);
    work(-1, -1);
}
