// The pager's descriptors are nowhere: not in the lists of /proc and /dev/fd, not by name, not in what poll
// and select say, and not among the numbers that a program may have; and a program that gives its own up goes
// on.
#include "guest.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { SOFT = 4096 };

// How many a directory lists; the largest of them.
static int listed(const char *path, int *largest) {
    DIR *directory = opendir(path);
    CHECK(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        count++;
        if (atoi(entry->d_name) > *largest) *largest = atoi(entry->d_name);
    }
    CHECK(closedir(directory) == 0);
    return count;
}

static void lists(void) {
    char own[64], task[64], child[64];
    snprintf(own, sizeof own, "/proc/%d/fd", getpid());
    snprintf(task, sizeof task, "/proc/self/task/%d/fdinfo", getpid());
    const char *paths[] = {"/proc/self/fd", "/proc/thread-self/fd", "/dev/fd", "/proc/self/fdinfo", "/proc/./self//fd", own, task};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int largest = 0;
        // Three, and the directory.
        CHECK(listed(paths[i], &largest) == 4 && largest == 3);
    }
    CHECK(chdir("/proc/self") == 0);
    int largest = 0;
    CHECK(listed("fd", &largest) == 4 && largest == 3 && chdir("/") == 0);
    // One entry at a time.
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY), seen = 0;
    for (char entry[24 + 8];; seen++) {
        long got = syscall(SYS_getdents64, directory, entry, sizeof entry);
        CHECK(got >= 0);
        if (got == 0) break;
    }
    CHECK(seen == 6 && close(directory) == 0);
    int ready[2];
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ready[1]);
        char byte;
        _exit(read(ready[0], &byte, 1) == 0 ? 0 : 1);
    }
    snprintf(child, sizeof child, "/proc/%d/fd", pid);
    close(ready[0]);
    for (int tries = 0; tries < 1000 && listed(child, &largest) != 4; tries++) usleep(1000);
    largest = 0;
    CHECK(listed(child, &largest) == 4 && largest == 3);
    close(ready[1]);
    CHECK(outcome_of(pid) == 0);
}

static void names(void) {
    char path[64];
    struct stat data;
    for (int i = 3; i < 5000; i++) {
        snprintf(path, sizeof path, i % 2 ? "/proc/self/fd/%d" : "/dev/fd/%d", i);
        CHECK(open(path, O_PATH) < 0 && errno == ENOENT);
        CHECK(fcntl(i, F_GETFD) < 0 && errno == EBADF && lseek(i, 0, SEEK_CUR) < 0 && errno == EBADF);
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", getpid(), i);
        CHECK(lstat(path, &data) < 0 && errno == ENOENT);
        CHECK(dup2(i, 3) < 0 && errno == EBADF);
    }
}

static void numbers(void) {
    struct rlimit limit = {SOFT, 20000}, told;
    CHECK(getrlimit(RLIMIT_NOFILE, &told) == 0);
    if (told.rlim_max < limit.rlim_max) limit.rlim_max = told.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && getrlimit(RLIMIT_NOFILE, &told) == 0);
    CHECK(told.rlim_cur == limit.rlim_cur && told.rlim_max == limit.rlim_max);
    for (int i = 3; i < SOFT; i++) CHECK(dup2(1, i) == i);
    CHECK(dup2(1, SOFT) < 0 && errno == EBADF && fcntl(1, F_DUPFD, SOFT) < 0 && errno == EINVAL);
    CHECK(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
    // What the pager needs descriptors for goes on.
    pid_t pid = fork();
    if (pid == 0) _exit(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE ? 3 : 4);
    CHECK(pid > 0 && outcome_of(pid) == 3);
    for (int i = 3; i < SOFT; i++) CHECK(close(i) == 0);
    CHECK(fcntl(1, F_DUPFD, 4000) == 4000 && fcntl(1, F_DUPFD_CLOEXEC, 4000) == 4001 && close(4000) == 0 && close(4001) == 0);
    int count = 0, last = 0;
    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0; count++) last = fd;
    CHECK(count == SOFT - 3 && last == SOFT - 1 && errno == EMFILE);
    CHECK(syscall(SYS_close_range, 3, ~0U, 0) == 0 && open("/dev/null", O_RDONLY) == 3 && close(3) == 0);
}

static void waits(void) {
    static struct pollfd asked[SOFT];
    for (int i = 0; i < SOFT; i++) asked[i] = (struct pollfd){i + 3, POLLIN, 0};
    CHECK(poll(asked, SOFT, -1) == SOFT);
    for (int i = 0; i < SOFT; i++) CHECK(asked[i].revents == POLLNVAL);
    asked[7].fd = -1;
    CHECK(ppoll(asked, SOFT, NULL, NULL) == SOFT - 1 && asked[7].revents == 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(500, &set);
    CHECK(select(600, &set, NULL, NULL, NULL) < 0 && errno == EBADF);
}

static void *idle(void *nothing) {
    return nothing;
}

// With none at all: memory that comes and goes, children, threads, files mapped by descriptors that are open.
static void none_left(int file) {
    struct rlimit none = {0, 0}, told;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0 && getrlimit(RLIMIT_NOFILE, &told) == 0 && told.rlim_max == 0);
    CHECK(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE && dup(0) < 0 && errno == EMFILE);
    char *memory = fresh(3 * MIB);
    for (size_t i = 0; i < 3 * MIB; i += PAGE) memory[i] = (char)(i / PAGE + 1);
    char *mapped = mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(mapped != MAP_FAILED && mapped[1] == 'E');
    char *writable = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    CHECK(writable != MAP_FAILED && writable[2] == 'L' && (writable[PAGE] = 1));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, idle, NULL) == 0 && pthread_join(thread, NULL) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t grandchild = fork();
        for (size_t i = 0; i < 3 * MIB; i += PAGE)
            if (memory[i] != (char)(i / PAGE + 1)) _exit(1);
        _exit(grandchild == 0 ? 5 : grandchild > 0 ? outcome_of(grandchild) : 2);
    }
    CHECK(pid > 0 && outcome_of(pid) == 5);
}

int main(int count, char **argv) {
    (void)count;
    syscall(SYS_close_range, 3, ~0U, 0);
    lists(), names(), numbers(), waits();
    int file = open(argv[0], O_RDONLY);
    CHECK(file == 3);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        // Nobody may raise a limit again.
        CHECK(getuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
        none_left(file);
        struct rlimit more = {1, 1};
        CHECK(setrlimit(RLIMIT_NOFILE, &more) < 0 && errno == EPERM);
        _exit(0);
    }
    CHECK(outcome_of(pid) == 0);
    none_left(file);
    return finish("own_descriptors", 1);
}
