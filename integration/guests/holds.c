// Holds 40 MiB, waits for a line, sums it up, waits for the end of its input.
#include "guest.h"

int main(void) {
    size_t size = 40 * 1024 * KIB;
    unsigned char *held = fresh(size);
    memset(held, 1, size);
    printf("%d\n", getpid());
    fflush(stdout);
    if (getchar() == EOF) return finish("holds", 0);
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) sum += held[i];
    printf("holds %016llx\n", (unsigned long long)sum);
    fflush(stdout);
    getchar();
    pause();
    return 0;
}
