// A tree of processes: each child sees its parent's bytes, changes its own copy, and the parent's stay.
#include "guest.h"

enum { WORDS = 1 << 18, DEPTH = 3, WIDTH = 2 };
static uint64_t *words;

static uint64_t sum_all(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < WORDS; i++) sum = sum * 31 + words[i];
    return sum;
}

static int grow(int depth) {
    uint64_t before = sum_all();
    pid_t children[WIDTH];
    for (int c = 0; depth > 0 && c < WIDTH; c++) {
        fflush(stdout);
        children[c] = fork();
        CHECK(children[c] >= 0);
        if (children[c] == 0) {
            CHECK(sum_all() == before);
            for (size_t i = (size_t)c; i < WORDS; i += 3) words[i] += (uint64_t)depth;
            _exit(grow(depth - 1));
        }
    }
    int total = 1;
    for (int c = 0; depth > 0 && c < WIDTH; c++) total += outcome_of(children[c]);
    CHECK(sum_all() == before);
    return total;
}

int main(void) {
    words = malloc(WORDS * sizeof *words);
    for (size_t i = 0; i < WORDS; i++) words[i] = mix(7, i);
    int processes = grow(DEPTH);
    CHECK(processes == 15);
    return finish("fork_tree", sum_all() + (uint64_t)processes);
}
