// System calls given pointers into nothing say EFAULT, or transfer what they can, and leave the program
// alive.
#include "guest.h"
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

int main(void) {
    int ends[2];
    char *volatile low = (char *)(uintptr_t)64;
    CHECK(pipe(ends) == 0);
    char *closed = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *readable = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *half = fresh(2 * PAGE), *untouched = fresh(PAGE), *nowhere = fresh(PAGE);
    CHECK(munmap(nowhere, PAGE) == 0 && mprotect(half + PAGE, PAGE, PROT_NONE) == 0);
    CHECK(write(ends[1], closed, 10) == -1 && errno == EFAULT);
    CHECK(write(ends[1], nowhere, 10) == -1 && errno == EFAULT);
    CHECK(write(ends[1], low, 10) == -1 && errno == EFAULT);
    CHECK(write(ends[1], readable, 10) == 10);
    CHECK(read(ends[0], readable, 10) == -1 && errno == EFAULT);
    CHECK(write(ends[1], "0123456789", 10) == 10);
    CHECK(read(ends[0], untouched, 100) >= 10);
    CHECK(stat("/", (struct stat *)(void *)closed) == -1 && errno == EFAULT);
    CHECK(open(closed, O_RDONLY) == -1 && errno == EFAULT);
    CHECK(open((char *)-1, O_RDONLY) == -1 && errno == EFAULT);
    CHECK(pipe((int *)(void *)readable) == -1 && errno == EFAULT);
    int fd = memfd_create("bad", 0);
    CHECK(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
    memset(half, 'h', PAGE);
    ssize_t partly = pread(fd, half, 2 * PAGE, 0);
    CHECK((partly == (ssize_t)PAGE && half[PAGE - 1] == 0) || (partly == -1 && errno == EFAULT));
    struct iovec vector[2] = {{half, 16}, {closed, 16}};
    ssize_t gathered = writev(fd, vector, 2);
    CHECK(gathered == 16 || (gathered == -1 && errno == EFAULT));
    CHECK(readv(fd, (struct iovec *)(void *)nowhere, 2) == -1 && errno == EFAULT);
    CHECK(nanosleep((void *)nowhere, NULL) == -1 && errno == EFAULT);
    return finish("bad_pointers", 1);
}
