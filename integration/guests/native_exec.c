// Children that execute what can only run natively while most of what they have is swapped out. Before that
// each tries what the kernel refuses, and goes on with all its memory. The argument is the program,
// `/bin/true` without one.
#include "guest.h"
#include <sys/stat.h>

enum { CHILDREN = 6 };

static const size_t SIZE = 8 * MIB;

static uint64_t sum_of(const unsigned char *memory) { return mix_bytes(0, memory, SIZE); }

int main(int argc, char **argv) {
    char *program = argc > 1 ? argv[1] : "/bin/true";
    char path[] = "/tmp/native-exec-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "no program at all", 17) == 17 && fchmod(fd, 0700) == 0 && close(fd) == 0);
    unsigned char *held = fresh(SIZE);
    for (size_t i = 0; i < SIZE; i++) held[i] = (unsigned char)(i / 97 + i);
    uint64_t sum = sum_of(held);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            char *arguments[] = {program, NULL};
            CHECK(execve(path, arguments, NULL) == -1 && errno == ENOEXEC);
            held[i] ^= 1;
            CHECK(sum_of(held) != sum);
            held[i] ^= 1;
            CHECK(sum_of(held) == sum);
            execve(program, arguments, NULL);
            _exit(98);
        }
        CHECK(outcome_of(child) == 0);
        CHECK(sum_of(held) == sum);
    }
    CHECK(unlink(path) == 0);
    CHECK(munmap(held, SIZE) == 0);
    return finish("native_exec", sum);
}
