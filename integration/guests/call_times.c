// Times system calls. Prints "kind nanoseconds-a-call".
#include "guest.h"
#include <sys/syscall.h>

enum { CALLS = 100000 };

#define TIME(kind, call)                                                                                                         \
    do {                                                                                                                         \
        double from = now_ns();                                                                                                  \
        for (int i = 0; i < CALLS; i++) CHECK((call) >= 0);                                                                      \
        printf("%s %.1f\n", kind, (now_ns() - from) / CALLS);                                                                    \
    } while (0)

int main(void) {
    static char buffer[PAGE];
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    int file = open("/proc/self/exe", O_RDONLY);
    CHECK(zero >= 0 && null >= 0 && file >= 0);
    TIME("null call", syscall(SYS_getppid));
    TIME("1-byte read", read(zero, buffer, 1));
    TIME("1-byte write", write(null, buffer, 1));
    TIME("4 KiB pread", pread(file, buffer, PAGE, 0));
    TIME("lseek", lseek(file, 0, SEEK_SET));
    TIME("sigprocmask", sigprocmask(SIG_SETMASK, NULL, (sigset_t *)buffer));
    return 0;
}
