// System calls of every sort, each with its arguments in memory that nobody has touched.
#include "guest.h"
#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>

static char *text(const char *from) { return strcpy(fresh(PAGE), from); }

static void identity(void) {
    struct utsname *name = fresh(PAGE);
    CHECK(uname(name) == 0 && strcmp(name->sysname, "Linux") == 0);
    gid_t *groups = fresh(PAGE);
    CHECK(getgroups(500, groups) >= 0);
    uid_t *ids = fresh(PAGE);
    CHECK(getresuid(ids, ids + 1, ids + 2) == 0 && ids[0] == getuid());
    CHECK(sched_getaffinity(0, 128, fresh(PAGE)) == 0);
    struct rlimit *limit = fresh(PAGE);
    CHECK(getrlimit(RLIMIT_NOFILE, limit) == 0 && limit->rlim_cur > 10);
    CHECK(getrusage(RUSAGE_SELF, fresh(PAGE)) == 0 && times(fresh(PAGE)) != (clock_t)-1);
    CHECK(sysinfo(fresh(PAGE)) == 0 && getrandom(fresh(MIB), 1000, 0) == 1000);
    struct timespec *at = fresh(PAGE);
    CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, at) == 0 && at->tv_sec > 0);
    CHECK(syscall(SYS_gettimeofday, fresh(PAGE), NULL) == 0);
    CHECK(syscall(SYS_time, fresh(PAGE)) > 0);
}
static void files(void) {
    char *folder = text("/tmp/guest-assorted-XXXXXX"), *name = fresh(PAGE), *other = fresh(PAGE);
    CHECK(mkdtemp(folder));
    snprintf(name, PAGE, "%s/a", folder), snprintf(other, PAGE, "%s/b", folder);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK(fd >= 0 && write(fd, text("hello"), 5) == 5);
    struct stat *status = fresh(PAGE);
    CHECK(fstat(fd, status) == 0 && status->st_size == 5 && stat(name, fresh(PAGE)) == 0);
    struct statx *extended = fresh(PAGE);
    CHECK(statx(AT_FDCWD, name, 0, STATX_BASIC_STATS, extended) == 0 && extended->stx_size == 5);
    CHECK(symlink(text("a"), other) == 0 && readlink(other, fresh(PAGE), 100) == 1);
    struct timespec *times = fresh(PAGE);
    times[0].tv_sec = times[1].tv_sec = 1000;
    CHECK(utimensat(AT_FDCWD, name, times, 0) == 0 && stat(name, status) == 0 && status->st_mtime == 1000);
    CHECK(access(name, R_OK) == 0 && chmod(name, 0600) == 0 && truncate(name, 3) == 0);
    CHECK(statvfs(folder, fresh(PAGE)) == 0);
    CHECK(getxattr(name, text("user.none"), fresh(PAGE), 100) == -1);
    DIR *entries = opendir(folder);
    int seen = 0;
    CHECK(entries);
    while (readdir(entries)) seen++;
    CHECK(seen == 4 && closedir(entries) == 0);
    char *third = fresh(PAGE);
    snprintf(third, PAGE, "%s/c", folder);
    CHECK(rename(name, third) == 0 && link(third, name) == 0);
    struct flock *range = fresh(PAGE);
    *range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK(fcntl(fd, F_SETLK, range) == 0 && fcntl(fd, F_GETLK, range) == 0 && range->l_type == F_UNLCK);
    CHECK(unlink(name) == 0 && unlink(other) == 0 && unlink(third) == 0 && rmdir(folder) == 0 && close(fd) == 0);
    CHECK(getcwd(fresh(PAGE), PAGE) != NULL && chdir(text("/")) == 0 && strcmp(getcwd(fresh(PAGE), PAGE), "/") == 0);
}
static void sockets(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), *value = fresh(PAGE);
    socklen_t *length = fresh(PAGE);
    *value = 1;
    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, value, sizeof *value) == 0);
    *length = sizeof(int);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_TYPE, value + 100, length) == 0 && value[100] == SOCK_STREAM);
    struct sockaddr_in *address = fresh(PAGE), *found = fresh(PAGE);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(bind(fd, (void *)address, sizeof *address) == 0 && listen(fd, 1) == 0);
    *length = sizeof *found;
    CHECK(getsockname(fd, (void *)found, length) == 0 && found->sin_port != 0);
    CHECK(connect(client, (void *)found, sizeof *found) == 0);
    struct sockaddr_in *peer = fresh(PAGE);
    int served = accept4(fd, (void *)peer, length, SOCK_CLOEXEC);
    CHECK(served >= 0 && peer->sin_family == AF_INET);
    CHECK(send(client, text("over tcp"), 8, 0) == 8);
    char *got = fresh(PAGE);
    CHECK(recvfrom(served, got, 100, 0, NULL, NULL) == 8 && memcmp(got, "over tcp", 8) == 0);
    CHECK(send(client, text("more"), 4, 0) == 4);
    int *waiting = fresh(PAGE);
    while (ioctl(served, FIONREAD, waiting) == 0 && *waiting < 4) usleep(100);
    CHECK(*waiting == 4 && tcgetattr(served, fresh(PAGE)) == -1 && errno == ENOTTY);
    close(served), close(client), close(fd);
}

int main(void) {
    for (int i = 0; i < 3; i++) identity(), files(), sockets();
    return finish("assorted", 3);
}
