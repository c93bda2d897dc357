// Descriptors that the program has not opened are not there, whatever call names them, and none that it may
// open is missing: files are mapped and a child runs under the lowest limit.
#include "guest.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FILES 12
#define LIMIT 16

// Every way to ask says the same.
static void ask(int fd) {
    struct stat stat;
    int there = fcntl(fd, F_GETFD) >= 0;
    CHECK((syscall(SYS_fstat, fd, &stat) == 0) == there);
    CHECK((syscall(SYS_newfstatat, fd, "", &stat, AT_EMPTY_PATH) == 0) == there);
    CHECK((syscall(SYS_sync_file_range, fd, 0, 0, 0) == 0 || errno != EBADF) == there);
    if (!there) CHECK(fchmod(fd, 0600) == -1 && errno == EBADF);
}

static void make(int number, char *path) {
    snprintf(path, 64, "few-descriptors-%d-%d", (int)getpid(), number);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    for (int page = 0; page < 4; page++) {
        char bytes[4096];
        memset(bytes, 'a' + number, sizeof bytes);
        CHECK(write(fd, bytes, sizeof bytes) == sizeof bytes);
    }
    CHECK(close(fd) == 0);
}

int main(void) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int fd = 3; fd < (int)limit.rlim_cur && fd < 70000; fd++) ask(fd);

    char paths[FILES][64];
    for (int n = 0; n < FILES; n++) make(n, paths[n]);
    struct rlimit few = {LIMIT, limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    int taken = 0, fd;
    while ((fd = dup(2)) >= 0) taken++;
    CHECK(errno == EMFILE && taken > 0);
    CHECK(close(LIMIT - 1) == 0);

    // Each through the last descriptor that the limit leaves.
    char *maps[FILES];
    for (int n = 0; n < FILES; n++) {
        int fd = open(paths[n], O_RDONLY);
        CHECK(fd == LIMIT - 1);
        maps[n] = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        CHECK(maps[n] != MAP_FAILED);
        CHECK(close(fd) == 0);
        CHECK(unlink(paths[n]) == 0);
    }
    struct rlimit now;
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == LIMIT && now.rlim_max == limit.rlim_max);
    for (int n = 0; n < FILES; n++)
        for (int at = 0; at < 4 * 4096; at += 512) CHECK(maps[n][at] == 'a' + n);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (int n = 0; n < FILES; n++) CHECK(maps[n][8192] == 'a' + n);
        _exit(7);
    }
    CHECK(outcome_of(pid) == 7);
    return finish("few_descriptors", (unsigned long)FILES);
}
