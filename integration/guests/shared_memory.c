// Shared mappings (anonymous and of a file) between a parent and its child, beside private memory under
// pressure.
#include "guest.h"
#include <semaphore.h>

int main(void) {
    uint64_t *shared = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = memfd_create("shared", 0);
    CHECK(shared != MAP_FAILED && fd >= 0 && ftruncate(fd, MIB) == 0);
    uint64_t *file = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(file != MAP_FAILED);
    sem_t *turn = (sem_t *)shared;
    CHECK(sem_init(turn, 1, 0) == 0);
    unsigned char *mine = fresh(4 * MIB);
    memset(mine, 3, 4 * MIB);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (size_t i = 100; i < MIB / 8; i++) shared[i] = mix(i, 1), file[i] = mix(i, 2);
        memset(mine, 4, 4 * MIB);
        CHECK(sem_post(turn) == 0);
        _exit(0);
    }
    CHECK(sem_wait(turn) == 0);
    uint64_t sum = 0, word;
    for (size_t i = 100; i < MIB / 8; i++) {
        CHECK(shared[i] == mix(i, 1) && file[i] == mix(i, 2));
        sum = mix(sum, shared[i] + file[i]);
    }
    CHECK(pread(fd, &word, 8, 800) == 8 && word == mix(100, 2));
    for (size_t i = 0; i < 4 * MIB; i += 512) CHECK(mine[i] == 3);
    CHECK(outcome_of(pid) == 0);
    return finish("shared_memory", sum);
}
