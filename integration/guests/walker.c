// Walks over its memory again and again, and checks every word, until its input ends. Argument: MiB. It says
// its number first, and a word once it has been everywhere.
#include "guest.h"
#include <poll.h>

static int has_input_ended(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) == 1;
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    size_t words = (size_t)atoi(argv[1]) * MIB / 8;
    uint64_t *at = fresh(words * sizeof *at), round = 0;
    printf("%d\n", getpid());
    fflush(stdout);
    for (size_t i = 0; i < words; i += 64) at[i] = mix(7, i);
    printf("everywhere\n");
    fflush(stdout);
    for (int ended = 0; !ended; round++) {
        for (size_t i = 0; i < words && !ended; i += 64) {
            CHECK(at[i] == mix(7, i) + round);
            at[i]++;
            if (i % (MIB / 8) == 0) ended = has_input_ended();
        }
    }
    return finish("walker", 0);
}
