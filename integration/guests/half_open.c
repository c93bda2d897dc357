// Buffers of which the program may touch a beginning only, or nothing: what a call moves, what it says, and what is
// left in the pipe or the socket for the next one. All of it is printed, and compared with a native run.
#include "guest.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { LARGE = 3 << 20, ROOM = 1 << 20, HELD = 300000 };

static unsigned char *source;

static void say(const char *what, ssize_t moved, int from) {
    int error = moved < 0 ? errno : 0, left = -1;
    ioctl(from, FIONREAD, &left);
    printf("%s: %zd %s, %d left\n", what, moved, error ? strerrorname_np(error) : "-", left);
}

// A buffer whose first `open` bytes may be written to and whose others are under `protection`.
static unsigned char *half(size_t open, int protection) {
    unsigned char *at = fresh(LARGE);
    CHECK(mprotect(at + open, LARGE - open, protection) == 0);
    return at;
}

static void drain(int from) {
    static unsigned char rest[ROOM];
    ssize_t got;
    uint64_t sum = 0;
    size_t all = 0;
    CHECK(fcntl(from, F_SETFL, O_NONBLOCK) == 0);
    while ((got = read(from, rest, sizeof rest)) > 0) all += (size_t)got, sum = mix_bytes(sum, rest, (size_t)got);
    printf("  then %zu bytes, %016llx\n", all, (unsigned long long)sum);
}

static void pipes(size_t open, int protection) {
    char what[64];
    for (int with = 0; with < 5; with++) {
        int ends[2];
        CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, ROOM) >= HELD);
        CHECK(write(ends[1], source, HELD) == HELD);
        unsigned char *at = half(open, protection), *good = fresh(LARGE);
        struct iovec first[] = {{at, LARGE}, {good, LARGE}}, second[] = {{good, 8192}, {at, LARGE}};
        struct iovec around[] = {{good, 100}, {NULL, 0}, {at, open}, {at + open, LARGE - open}, {good, 1000}};
        snprintf(what, sizeof what, "pipe, %zu open to %d, way %d", open, protection, with);
        switch (with) {
            case 0: say(what, read(ends[0], at, LARGE), ends[0]); break;
            case 1: say(what, readv(ends[0], first, 2), ends[0]); break;
            case 2: say(what, readv(ends[0], second, 2), ends[0]); break;
            case 3: say(what, readv(ends[0], around, 5), ends[0]); break;
            default:
                drain(ends[0]);
                CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
                say(what, writev(ends[1], second, 2), ends[0]);
        }
        drain(ends[0]);
        printf("  in the buffer %016llx\n", (unsigned long long)mix_bytes(0, at, open));
        munmap(at, LARGE), munmap(good, LARGE), close(ends[0]), close(ends[1]);
    }
}

static void messages(size_t open, int protection) {
    char what[64];
    for (int with = 0; with < 4; with++) {
        int pair[2], room = ROOM;
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
        CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
        CHECK(write(pair[0], source, 60000) == 60000 && write(pair[0], source, 100) == 100);
        unsigned char *at = half(open, protection), *good = fresh(LARGE);
        struct iovec first[] = {{at, LARGE}, {good, LARGE}}, second[] = {{good, 8192}, {at, LARGE}};
        struct msghdr header = {.msg_iov = with == 2 ? first : second, .msg_iovlen = 2};
        snprintf(what, sizeof what, "packets, %zu open to %d, way %d", open, protection, with);
        switch (with) {
            case 0: say(what, recv(pair[1], at, LARGE, 0), pair[1]); break;
            case 1: say(what, readv(pair[1], second, 2), pair[1]); break;
            case 2:
            case 3: say(what, recvmsg(pair[1], &header, 0), pair[1]); printf("  flags %x\n", header.msg_flags); break;
        }
        drain(pair[1]);
        munmap(at, LARGE), munmap(good, LARGE), close(pair[0]), close(pair[1]);
    }
}

int main(void) {
    source = fresh(LARGE);
    for (size_t i = 0; i < HELD; i++) source[i] = (unsigned char)(i * 2654435761u >> 13);
    static const size_t OPEN[] = {0, PAGE, 20 * PAGE, 70 * PAGE};
    for (size_t i = 0; i < sizeof OPEN / sizeof *OPEN; i++)
        for (int protection = PROT_NONE; protection <= PROT_READ; protection++)
            pipes(OPEN[i], protection), messages(OPEN[i], protection);
    return finish("half_open", 0);
}
