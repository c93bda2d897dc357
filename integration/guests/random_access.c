// Random reads and writes over more memory than the cap (argv[1] MiB), checked against a recomputed history.
#include "guest.h"

int main(int argc, char **argv) {
    size_t pages = (argc > 1 ? strtoul(argv[1], NULL, 10) : 16) * MIB / PAGE;
    uint64_t *memory = fresh(pages * PAGE), sum = 0;
    uint32_t *writes = calloc(pages, sizeof *writes);
    CHECK(writes);
    for (uint64_t step = 0; step < pages * 6; step++) {
        uint64_t page = mix(99, step) % pages;
        uint64_t *at = memory + page * (PAGE / 8);
        CHECK(at[0] == (writes[page] ? mix(page, writes[page]) : 0) && at[511] == at[0]);
        if (step % 3 == 0) continue;
        writes[page]++;
        at[0] = at[511] = mix(page, writes[page]);
        sum = mix(sum, at[0]);
    }
    return finish("random_access", sum);
}
