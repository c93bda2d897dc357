// A daemon as of old: forks twice, leads a session of its own, and works on after its parent has ended.
// Writes to the file named: its process id at once; once its parent's parent is gone, the sum of 8 MiB that
// it filled before, which a child of its finds the same.
#include "guest.h"

static void tell(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    pid_t first = getpid(), supervisor = getppid();
    pid_t child = fork();
    if (child > 0) {
        CHECK(outcome_of(child) == 0);
        return 0;
    }
    CHECK(setsid() == getpid());
    if (fork() > 0) _exit(0);
    size_t size = 8 * MIB;
    unsigned char *held = fresh(size);
    for (size_t i = 0; i < size; i++) held[i] = (unsigned char)(i / 97 + i);
    char line[64];
    snprintf(line, sizeof line, "%d\n", getpid());
    tell(argv[1], line);
    // The pager is the first one's parent: a native run has the test there, which stays.
    int paged = strcmp(argv[2], "paged") == 0;
    while (kill(first, 0) == 0 || (paged && kill(supervisor, 0) == 0)) usleep(1000);
    CHECK(getsid(0) != getpid() && getppid() != first && getppid() != child);
    unsigned long long sum = mix_bytes(0, held, size);
    pid_t late = fork();
    CHECK(late >= 0);
    if (late == 0) _exit(mix_bytes(0, held, size) == sum ? 0 : 1);
    CHECK(outcome_of(late) == 0);
    snprintf(line, sizeof line, "%016llx\n", sum);
    tell(argv[1], line);
    return 0;
}
