// A private writable mapping of a file: the file never changes, the tail is zeros, past the end is SIGBUS.
#include "guest.h"
#include <setjmp.h>

enum { LENGTH = 10 * 4096 + 1000 };
static sigjmp_buf out;
static void *volatile where;
static volatile int code;
static void on_bus(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    where = info->si_addr;
    code = info->si_code;
    siglongjmp(out, 1);
}

static void write_past_the_end(unsigned char *at) {
    if (sigsetjmp(out, 1) == 0) {
        *at = 1;
        CHECK(!"past the end was written");
    }
}

int main(void) {
    char name[] = "/tmp/guest-file-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    unsigned char bytes[LENGTH];
    for (size_t i = 0; i < LENGTH; i++) bytes[i] = (unsigned char)(i * 7 + 1);
    CHECK(write(fd, bytes, LENGTH) == LENGTH);
    unsigned char *at = mmap(NULL, 20 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(at != MAP_FAILED && memcmp(at, bytes, LENGTH) == 0);
    for (size_t i = LENGTH; i < 11 * PAGE; i++) CHECK(at[i] == 0);
    for (size_t i = 0; i < LENGTH; i += 3) at[i] = (unsigned char)~at[i];
    at[11 * PAGE - 1] = 9;
    unsigned char check[LENGTH];
    CHECK(pread(fd, check, LENGTH, 0) == LENGTH && memcmp(check, bytes, LENGTH) == 0);
    uint64_t sum = mix_bytes(0, at, 11 * PAGE);
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGBUS, &action, NULL) == 0);
    write_past_the_end(at + 11 * PAGE + 5);
    CHECK(where == at + 11 * PAGE + 5 && code == BUS_ADRERR);
    CHECK(read(fd, at + 12 * PAGE, 10) <= 0);
    CHECK(madvise(at, PAGE, MADV_DONTNEED) == 0 && memcmp(at, bytes, PAGE) == 0);
    unsigned char *offset = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 3 * PAGE);
    CHECK(offset != MAP_FAILED && memcmp(offset, bytes + 3 * PAGE, PAGE) == 0);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    CHECK(close(fd) == 0 && offset[1] == bytes[3 * PAGE + 1]);
    return finish("file_private", sum);
}
