// One read is one record, however large its buffer is against the memory: datagrams, packets, counters,
// events, requests of a device. And one append is one record to the others who append.
#include "guest.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

enum { LARGE = 3 << 20, MESSAGE = 150000 };

static void paint(unsigned char *at, size_t length, unsigned seed) {
    for (size_t i = 0; i < length; i++) at[i] = (unsigned char)((i + seed) * 2654435761u >> 13);
}

static int is_painted(const unsigned char *at, size_t length, unsigned seed) {
    for (size_t i = 0; i < length; i++)
        if (at[i] != (unsigned char)((i + seed) * 2654435761u >> 13)) return 0;
    return 1;
}

// Two messages are two reads, of which the first neither loses its end nor takes the second.
static void datagrams(int kind) {
    int pair[2], room = 1 << 20;
    CHECK(socketpair(AF_UNIX, kind, 0, pair) == 0);
    CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    unsigned char *source = fresh(LARGE), *target = fresh(LARGE), *volatile nowhere = NULL;
    paint(source, MESSAGE, 1);
    CHECK(write(pair[0], source, MESSAGE) == MESSAGE);
    struct iovec out[3] = {{source, 100}, {source + 100, 0}, {source + 100, MESSAGE - 100}};
    CHECK(writev(pair[0], out, 3) == MESSAGE);
    CHECK(read(pair[1], target, LARGE) == MESSAGE && is_painted(target, MESSAGE, 1));
    memset(target, 0, MESSAGE);
    struct iovec in[3] = {{target, 5000}, {target + 5000, 100000}, {target + 105000, LARGE - 105000}};
    CHECK(readv(pair[1], in, 3) == MESSAGE && is_painted(target, MESSAGE, 1));
    // What does not fit is lost, as without a pager.
    CHECK(write(pair[0], source, MESSAGE) == MESSAGE && read(pair[1], target, 1000) == 1000);
    CHECK(recv(pair[1], target, LARGE, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    CHECK(write(pair[0], source, MESSAGE) == MESSAGE && read(pair[1], nowhere, LARGE) < 0 && errno == EFAULT);
    CHECK(recv(pair[1], target, LARGE, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    close(pair[0]), close(pair[1]);
}

static void counters(void) {
    uint64_t *target = fresh(LARGE);
    int event = eventfd(7, 0);
    CHECK(read(event, target, LARGE) == 8 && *target == 7);
    struct iovec vector = {target, LARGE};
    *target = 9;
    CHECK(write(event, target, 8) == 8 && readv(event, &vector, 1) == 8 && *target == 9);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
    CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0 && read(timer, target, LARGE) == 8 && *target == 1);
    close(event), close(timer);
}

static void events(void) {
    sigset_t two;
    sigemptyset(&two), sigaddset(&two, SIGUSR1), sigaddset(&two, SIGUSR2);
    CHECK(sigprocmask(SIG_BLOCK, &two, NULL) == 0);
    int signals = signalfd(-1, &two, 0);
    CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR2) == 0);
    struct signalfd_siginfo *told = fresh(LARGE);
    CHECK(read(signals, told, LARGE) == 2 * sizeof *told && told[0].ssi_signo == SIGUSR1 && told[1].ssi_signo == SIGUSR2);
    int watch = inotify_init1(0);
    char folder[] = "/tmp/records-XXXXXX", path[64];
    CHECK(mkdtemp(folder) && inotify_add_watch(watch, folder, IN_CREATE | IN_DELETE) >= 0);
    for (int i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "%s/%d", folder, i);
        int file = open(path, O_CREAT | O_WRONLY, 0600);
        CHECK(file >= 0 && close(file) == 0 && unlink(path) == 0);
    }
    CHECK(rmdir(folder) == 0);
    char *at = fresh(LARGE);
    ssize_t got = read(watch, at, LARGE);
    int creations = 0;
    for (ssize_t i = 0; i < got;) {
        struct inotify_event *event = (void *)(at + i);
        creations += (event->mask & IN_CREATE) != 0;
        i += (ssize_t)(sizeof *event + event->len);
    }
    CHECK(creations == 20);
    close(signals), close(watch);
}

static void netlink(void) {
    int link = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    struct { struct nlmsghdr head; struct ifinfomsg info; } ask = {{sizeof ask, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {0}};
    CHECK(link >= 0 && write(link, &ask, sizeof ask) == sizeof ask);
    char *answer = fresh(LARGE);
    int done = 0;
    while (!done) {
        int left = (int)read(link, answer, LARGE);
        CHECK(left > 0);
        struct nlmsghdr *head = (void *)answer;
        for (; NLMSG_OK(head, (unsigned)left); head = NLMSG_NEXT(head, left)) done |= head->nlmsg_type == NLMSG_DONE;
    }
    close(link);
}

static void packets(void) {
    int ends[2];
    CHECK(pipe2(ends, O_DIRECT) == 0);
    unsigned char *bytes = fresh(LARGE);
    paint(bytes, 4096, 5);
    CHECK(write(ends[1], bytes, 4096) == 4096 && write(ends[1], bytes, 4096) == 4096 && write(ends[1], bytes, 10) == 10);
    unsigned char *target = fresh(LARGE);
    CHECK(read(ends[0], target, LARGE) == 4096 && is_painted(target, 4096, 5));
    struct iovec vector[2] = {{target + 1, 4000}, {target + 4001, LARGE - 4001}};
    CHECK(readv(ends[0], vector, 2) == 4096 && is_painted(target + 1, 4096, 5));
    CHECK(read(ends[0], target, LARGE) == 10);
    close(ends[0]), close(ends[1]);
}

static void terminal(void) {
    int outer = posix_openpt(O_RDWR | O_NOCTTY), on = 1;
    CHECK(outer >= 0 && grantpt(outer) == 0 && unlockpt(outer) == 0 && ioctl(outer, TIOCPKT, &on) == 0);
    int inner = open(ptsname(outer), O_RDWR | O_NOCTTY);
    char *target = fresh(LARGE);
    CHECK(inner >= 0 && write(inner, "ab", 2) == 2);
    // The first byte says that these are data.
    CHECK(read(outer, target, LARGE) == 3 && target[0] == 0 && target[1] == 'a');
    CHECK(write(outer, "one\ntwo\n", 8) == 8 && read(inner, target, LARGE) == 4 && read(inner, target, LARGE) == 4);
    close(inner), close(outer);
}

// Appends of two processes lie one behind the other.
static void appends(void) {
    enum { LENGTH = 1 << 20, ROUNDS = 6 };
    char path[] = "/tmp/records-XXXXXX";
    CHECK(close(mkstemp(path)) == 0);
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        if ((pids[i] = fork()) != 0) continue;
        char *bytes = fresh(LENGTH);
        memset(bytes, 'a' + i, LENGTH);
        int file = open(path, O_WRONLY | O_APPEND);
        for (int j = 0; j < ROUNDS; j++)
            if (write(file, bytes, LENGTH) != LENGTH) _exit(1);
        _exit(0);
    }
    CHECK(outcome_of(pids[0]) == 0 && outcome_of(pids[1]) == 0);
    int file = open(path, O_RDONLY);
    static char piece[65536];
    for (long at = 0; at < 2L * ROUNDS * LENGTH; at += sizeof piece) {
        static char whose;
        CHECK(pread(file, piece, sizeof piece, at) == sizeof piece);
        if (at % LENGTH == 0) whose = piece[0];
        for (size_t i = 0; i < sizeof piece; i++) CHECK(piece[i] == whose);
    }
    CHECK(close(file) == 0 && unlink(path) == 0);
}

int main(void) {
    datagrams(SOCK_DGRAM), datagrams(SOCK_SEQPACKET);
    counters(), events(), netlink(), packets(), terminal(), appends();
    return finish("records", 1);
}
