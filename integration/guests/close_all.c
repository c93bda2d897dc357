// A daemon's habits: closes every descriptor, moves others onto low and high numbers, lowers its limits, goes
// on paging.
#include "guest.h"
#include <sys/resource.h>
#include <sys/syscall.h>

static void work(unsigned seed) {
    unsigned char *bytes = fresh(6 * MIB);
    memset(bytes, (int)seed, 6 * MIB);
    for (size_t i = 0; i < 6 * MIB; i += 777) CHECK(bytes[i] == (unsigned char)seed);
    CHECK(munmap(bytes, 6 * MIB) == 0);
}
int main(void) {
    for (int fd = 3; fd < 1024; fd++) close(fd);
    work(1);
    CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
    work(2);
    for (int fd = 900; fd < 1000; fd++) CHECK(dup2(2, fd) == fd);
    work(3);
    struct rlimit few = {1010, 1010};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    work(4);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(setsid() > 0);
        work(5);
        _exit(6);
    }
    CHECK(outcome_of(pid) == 6);
    return finish("close_all", 4);
}
