// Lengths that the kernel refuses or cuts, of calls that the runtime makes in pieces under a small cap; and
// records, which are never cut.
#include "guest.h"
#include <limits.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static void tell(const char *what, long result) {
    if (result < 0) printf("%s: %s\n", what, strerrorname_np(errno));
    else printf("%s: %ld\n", what, result);
    errno = 0;
}
#define TELL(call) tell(#call, (long)(call))

enum { LARGE = 8 * 1024 * 1024 };

// In memory that is the kernel's, so that two gibibytes of it need not be brought in.
static void long_ones(void) {
    size_t length = (2UL << 30) + 64 * MIB;
    char *much = mmap(NULL, length, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int null = open("/dev/null", O_RDWR);
    CHECK(much != MAP_FAILED && null >= 0);
    struct iovec halves[2] = {{much, length / 2}, {much + length / 2, length / 2}};
    TELL(write(null, much, length));
    TELL(writev(null, halves, 2));
    TELL(read(null, much, length));
    CHECK(munmap(much, length) == 0 && close(null) == 0);
}

// What lies behind the buffer stays as it is, whatever length is claimed.
static void wrong_ones(int fd) {
    char *large = fresh(LARGE);
    char *end = (char *)0x7ffffffff000;
    unsigned char *area = fresh(16 * PAGE);
    memset(area, 0x5a, 16 * PAGE);
    char *buffer = (char *)area + PAGE;
    struct { const char *name; int count; struct iovec parts[3]; } vectors[] = {
        {"negative", 1, {{buffer, (size_t)-1}}},
        {"second negative", 2, {{buffer, 8}, {buffer, (size_t)-1}}},
        {"second very negative", 2, {{buffer, 8}, {buffer, (size_t)SSIZE_MAX + 1}}},
        {"sum overflows", 2, {{large, SSIZE_MAX}, {large, 8}}},
        {"large, then bad address", 2, {{large, LARGE}, {(void *)-1, 8}}},
        {"large, then behind user space", 2, {{large, LARGE}, {end, 8}}},
        {"large, then a hole", 2, {{large, LARGE}, {(void *)0x1000, 8}}},
        {"large, then nothing", 3, {{large, LARGE}, {NULL, 0}, {buffer, 8}}},
        {"one, much too large", 1, {{large, SSIZE_MAX}}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct iovec *parts = vectors[i].parts;
        int count = vectors[i].count;
        printf("-- %s\n", vectors[i].name);
        lseek(fd, 0, SEEK_SET);
        TELL(readv(fd, parts, count));
        TELL(preadv(fd, parts, count, 0));
        TELL(preadv(fd, parts, count, -1));
        TELL(preadv(fd, parts, count, LONG_MAX - 8));
        TELL(preadv2(fd, parts, count, 0, -1));
        TELL(preadv(-1, parts, count, 0));
        lseek(fd, 0, SEEK_SET);
        if (i < 6) TELL(writev(fd, parts, count));
    }
    size_t lengths[] = {(size_t)-1, (size_t)SSIZE_MAX + 1, SSIZE_MAX, LARGE};
    for (int i = 0; i < 4; i++) {
        printf("-- length %zx\n", lengths[i]);
        lseek(fd, 0, SEEK_SET);
        TELL(read(fd, large, lengths[i]));
        TELL(pread(fd, large, lengths[i], 0));
        TELL(pread(fd, large, lengths[i], -1));
        TELL(pread(fd, large, lengths[i], LONG_MAX - 8));
        TELL(pread(fd, end - PAGE, lengths[i], 0));
        if (i < 3) TELL(pwrite(fd, large, lengths[i], 0));
    }
    TELL(syscall(SYS_readv, fd, large, 1025));
    TELL(syscall(SYS_readv, fd, large, -1));
    TELL(syscall(SYS_readv, fd, 8, 2));
    for (size_t at = 0; at < 16 * PAGE; at++) CHECK(area[at] == 0x5a || (at >= PAGE && at < PAGE + 8));
}

// The kernel takes these lengths as 32 bits.
static void half_lengths(void) {
    unsigned char *area = fresh(64 * PAGE);
    memset(area, 0x5a, 64 * PAGE);
    int folder = open("/usr/bin", O_RDONLY | O_DIRECTORY);
    CHECK(folder >= 0);
    long length = syscall(SYS_getdents64, folder, area, (1L << 32) + 64);
    printf("%s in 64 bytes\n", length > 0 && length <= 64 ? "entries" : "none");
    for (size_t at = 64; at < 64 * PAGE; at++) CHECK(area[at] == 0x5a);
    TELL(syscall(SYS_getdents64, folder, area, -1L));
    TELL(readlink("/proc/self/exe", (char *)area, 0));
    TELL(syscall(SYS_readlink, "/proc/self/exe", area, -1L));
    close(folder);
}

// Each write to such a pipe is a packet, and each read takes one.
static void packets(void) {
    int ends[2];
    char *large = fresh(LARGE), packet[PAGE];
    CHECK(pipe2(ends, O_DIRECT | O_NONBLOCK) == 0);
    memset(packet, 1, sizeof packet);
    for (int i = 0; i < 3; i++) CHECK(write(ends[1], packet, PAGE) == (ssize_t)PAGE);
    TELL(read(ends[0], large, LARGE));
    TELL(readv(ends[0], (struct iovec[2]){{large, LARGE / 2}, {large + LARGE / 2, LARGE / 2}}, 2));
    TELL(read(ends[0], large, 100));
    TELL(read(ends[0], large, LARGE));
    close(ends[0]), close(ends[1]);
}

int main(void) {
    char name[] = "vectors-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, MIB) == 0);
    long_ones();
    wrong_ones(fd);
    half_lengths();
    packets();
    return 0;
}
