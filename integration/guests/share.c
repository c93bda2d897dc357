// Processes that share a cap: each fills its own memory, walks over it again and again, and checks every
// word. Arguments: processes, MiB of each, rounds. Between rounds each sleeps for a while, so that the others
// can have more.
#include "guest.h"

static uint64_t work(unsigned who, size_t words, unsigned rounds) {
    uint64_t *at = fresh(words * sizeof *at), sum = 0;
    for (size_t i = 0; i < words; i++) at[i] = mix(who, i);
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < words; i++) {
            CHECK(at[i] == mix(who, i) + round);
            at[i]++;
        }
        usleep(20000 * (who % 3));
    }
    for (size_t i = 0; i < words; i++) sum = mix(sum, at[i]);
    return sum;
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    unsigned processes = (unsigned)atoi(argv[1]), rounds = (unsigned)atoi(argv[3]);
    size_t words = (size_t)atoi(argv[2]) * MIB / 8;
    uint64_t sum = 0;
    int ends[2];
    for (unsigned who = 0; who < processes; who++) {
        CHECK(pipe(ends) == 0);
        if (fork() == 0) {
            uint64_t own = work(who, words, rounds);
            CHECK(write(ends[1], &own, sizeof own) == sizeof own);
            _exit(0);
        }
        CHECK(close(ends[1]) == 0 && dup2(ends[0], 100 + (int)who) >= 0 && close(ends[0]) == 0);
    }
    for (unsigned who = 0; who < processes; who++) {
        uint64_t own = 0;
        int status;
        CHECK(read(100 + (int)who, &own, sizeof own) == sizeof own);
        CHECK(wait(&status) > 0 && status == 0);
        sum = mix(sum, own);
    }
    return finish("share", sum);
}
