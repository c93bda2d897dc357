// vfork and posix_spawn: a program that works, one that is not there, one that ends by a signal.
#include "guest.h"
#include <spawn.h>

extern char **environ;

static int spawned(const char *path, char **arguments) {
    pid_t pid;
    int error = posix_spawn(&pid, path, NULL, NULL, arguments, environ);
    return error ? 2000 + error : outcome_of(pid);
}

static int vforked(const char *path, char **arguments) {
    volatile int error = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        execv(path, arguments);
        error = errno;
        _exit(77);
    }
    int outcome = outcome_of(pid);
    return error ? 2000 + error : outcome;
}

int main(void) {
    char *yes[] = {"sh", "-c", "exit 3", NULL};
    char *killed[] = {"sh", "-c", "kill -TERM $$", NULL};
    uint64_t sum = 0;
    for (int i = 0; i < 5; i++) {
        CHECK(spawned("/bin/sh", yes) == 3);
        CHECK(spawned("/nowhere/program", yes) == 2000 + ENOENT);
        CHECK(spawned("/bin/sh", killed) == 1000 + SIGTERM);
        CHECK(vforked("/bin/sh", yes) == 3);
        CHECK(vforked("/nowhere/program", yes) == 2000 + ENOENT);
        CHECK(vforked("/etc/passwd", yes) == 2000 + EACCES);
        sum = mix(sum, (uint64_t)i);
    }
    CHECK(system("exit 9") == 9 << 8);
    return finish("spawn", sum);
}
