// Buffers of system calls in a shared mapping of a file, many times as large as what may be resident: what
// the kernel puts there is the file's, whether it comes from a pipe, a file, past the page cache, or a
// socket; and what it takes from there is what was stored.
#include "guest.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define PAGES 1024UL

static unsigned char *map;
static int fd;

static uint64_t sum_of_file(void) {
    static unsigned char page[PAGE];
    uint64_t sum = 0;
    for (size_t i = 0; i < PAGES; i++) {
        CHECK(pread(fd, page, PAGE, (off_t)(i * PAGE)) == PAGE && memcmp(page, map + i * PAGE, PAGE) == 0);
        sum = mix_bytes(sum, page, PAGE);
    }
    return sum;
}

static void fill(unsigned seed) {
    for (size_t i = 0; i < PAGES; i++) memset(map + i * PAGE, (int)mix(seed, i), PAGE);
}

// Past the page cache where the file system can, from every page to every other page.
static void copy_past_the_cache(const char *path) {
    char name[64];
    snprintf(name, sizeof name, "%s.direct", path);
    int direct = open(name, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (direct < 0) direct = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(direct >= 0 && unlink(name) == 0);
    for (size_t i = 0; i < PAGES; i += 64) CHECK(pwrite(direct, map + i * PAGE, 64 * PAGE, (off_t)(i * PAGE)) == 64 * PAGE);
    for (size_t i = 0; i < PAGES; i += 64) {
        size_t to = (i + 320) % PAGES;
        CHECK(pread(direct, map + to * PAGE, 64 * PAGE, (off_t)(i * PAGE)) == 64 * PAGE);
    }
    CHECK(close(direct) == 0);
}

static void send_around(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    for (size_t i = 0; i < PAGES; i += 7) {
        size_t to = (i * 5 + 3) % (PAGES - 2);
        struct iovec parts[2] = {{map + i * PAGE + 100, 200}, {map + to * PAGE + 4000, 300}};
        CHECK(writev(ends[0], parts, 2) == 500);
        parts[0].iov_base = map + to * PAGE + PAGE - 50;
        CHECK(readv(ends[1], parts, 2) == 500);
    }
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

// Results that the kernel writes into pages that nobody has touched, and names that it reads from there.
static void small_structures(const char *path) {
    for (size_t i = 5; i < PAGES; i += 101) {
        struct stat *there = (struct stat *)(map + i * PAGE + 256), here;
        CHECK(madvise(map + i * PAGE, PAGE, MADV_DONTNEED) == 0 && stat(path, there) == 0 && stat(path, &here) == 0);
        CHECK(there->st_size == here.st_size && there->st_ino == here.st_ino);
        memset(there, 9, sizeof *there);
        strcpy((char *)map + i * PAGE, path);
        CHECK(access((char *)map + i * PAGE, R_OK) == 0);
        memset(map + i * PAGE, 8, 64);
    }
}

int main(void) {
    char path[] = "/tmp/shared_buffers.XXXXXX";
    fd = mkstemp(path);
    CHECK(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
    map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    fill(1);
    uint64_t sum = sum_of_file();
    copy_past_the_cache(path);
    sum = mix(sum, sum_of_file());
    send_around();
    sum = mix(sum, sum_of_file());
    small_structures(path);
    sum = mix(sum, sum_of_file());
    // The file onto itself, and through a mapping that is made for reading only.
    CHECK(pwrite(fd, map + 100 * PAGE, 200 * PAGE, 500 * PAGE) == 200 * PAGE && pread(fd, map, 50 * PAGE, 900 * PAGE) == 50 * PAGE);
    CHECK(mprotect(map, 300 * PAGE, PROT_READ) == 0);
    CHECK(pread(fd, map + 10 * PAGE, PAGE, 0) == -1 && errno == EFAULT && pwrite(fd, map, 9 * PAGE, 20 * PAGE) == 9 * PAGE);
    sum = mix(sum, sum_of_file());
    CHECK(munmap(map, PAGES * PAGE) == 0 && unlink(path) == 0);
    return finish("shared_buffers", sum);
}
