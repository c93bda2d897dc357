// Children that hold memory are killed by SIGKILL, one after the other and right after their fork; what each
// had is needed by the next, which checks all that it wrote. One sleeps all the while with its memory. Meant
// for the first process of a PID namespace, where numbers are not those outside. The argument is the number
// of rounds, 24 without.
#include "guest.h"

#define PAGES 160

static unsigned char *hold(unsigned char tag) {
    unsigned char *at = fresh(PAGES * PAGE);
    for (size_t page = 0; page < PAGES; page++) at[page * PAGE + tag] = tag;
    return at;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 24;
    int said[2];
    unsigned killed = 0, right = 0;
    CHECK(pipe(said) == 0);
    pid_t sleeper = fork();
    if (sleeper == 0) {
        hold(7);
        CHECK(write(said[1], "x", 1) == 1);
        for (;;) pause();
    }
    char byte;
    CHECK(read(said[0], &byte, 1) == 1);
    for (int round = 0; round < rounds; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            hold((unsigned char)(round % 100 + 1));
            CHECK(write(said[1], "x", 1) == 1);
            for (;;) pause();
        }
        // Every other one perhaps before it has run at all; what it still says is for nobody.
        if (round % 2) CHECK(read(said[0], &byte, 1) == 1);
        CHECK(kill(pid, SIGKILL) == 0);
        killed += outcome_of(pid) == 1000 + SIGKILL;
        pid = fork();
        if (pid == 0) {
            unsigned char tag = (unsigned char)(round % 100 + 100), *at = hold(tag);
            for (size_t page = 0; page < PAGES; page++)
                if (at[page * PAGE + tag] != tag) _exit(1);
            _exit(7);
        }
        right += outcome_of(pid) == 7;
    }
    CHECK(kill(sleeper, SIGKILL) == 0 && outcome_of(sleeper) == 1000 + SIGKILL);
    return finish("killed_inside", (uint64_t)killed << 32 | right);
}
