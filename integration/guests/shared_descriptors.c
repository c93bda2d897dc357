// A forked child that shares its parent's descriptors (CLONE_FILES without CLONE_VM): what one opens or
// closes is the other's too, and both have all their memory, also what they touch for the first time
// afterwards.
#include "guest.h"
#include <sched.h>
#include <sys/syscall.h>

#define SIZE (4 * MIB)

static void go_round(unsigned char *memory, unsigned seed) {
    for (size_t i = 0; i < SIZE; i += 997) memory[i] = (unsigned char)(i / 97 + seed);
    for (size_t i = 0; i < SIZE; i += 997) CHECK(memory[i] == (unsigned char)(i / 97 + seed));
}

int main(void) {
    unsigned char *held = fresh(SIZE);
    go_round(held, 1);
    int line[2];
    CHECK(pipe(line) == 0);
    for (unsigned round = 0; round < 4; round++) {
        pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
        CHECK(child >= 0);
        if (child == 0) {
            int fd = open("/dev/null", O_WRONLY);
            CHECK(fd >= 0 && write(line[1], &fd, sizeof fd) == sizeof fd);
            go_round(fresh(SIZE), round);
            go_round(held, round);
            _exit(3);
        }
        int fd;
        CHECK(read(line[0], &fd, sizeof fd) == sizeof fd);
        go_round(fresh(SIZE), round + 1);
        CHECK(outcome_of(child) == 3);
        go_round(held, round + 2);
        // Opened by the child.
        CHECK(write(fd, "x", 1) == 1 && close(fd) == 0);
    }
    puts("shared");
    return 0;
}
