// The heap by hand: sbrk up, fill, check, down, up again (zeros), and a break that may not move.
#include "guest.h"

int main(void) {
    unsigned char *start = sbrk(0);
    uint64_t sum = 0;
    CHECK(start != (void *)-1);
    for (size_t step = 0; step < 200; step++) {
        unsigned char *at = sbrk(50001);
        CHECK(at == start + step * 50001);
        for (size_t i = 0; i < 50001; i += 50) at[i] = (unsigned char)(step + i);
    }
    for (size_t step = 0; step < 200; step++)
        for (size_t i = 0; i < 50001; i += 50) {
            CHECK(start[step * 50001 + i] == (unsigned char)(step + i));
            sum = mix(sum, start[step * 50001 + i]);
        }
    CHECK(brk(start + 5 * PAGE) == 0 && sbrk(0) == start + 5 * PAGE);
    CHECK(sbrk(100 * PAGE) == start + 5 * PAGE);
    unsigned char *whole = (unsigned char *)(((uintptr_t)start + 6 * PAGE) & ~(PAGE - 1));
    for (size_t i = 0; i < 90 * PAGE; i++) CHECK(whole[i] == 0);
    CHECK(start[0] == 0 && start[50] == 50);
    CHECK(brk((void *)(1UL << 62)) == -1 && errno == ENOMEM);
    return finish("brk_heap", sum);
}
