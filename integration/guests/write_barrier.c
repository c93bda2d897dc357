// A garbage collector's write barrier: protect everything, note the first write to each page in a SIGSEGV
// handler.
#include "guest.h"

enum { PAGES = 512, ROUNDS = 20 };
static unsigned char *heap;
static volatile unsigned char dirty[PAGES];
static volatile int faults;

static void barrier(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    size_t page = (size_t)((unsigned char *)info->si_addr - heap) / PAGE;
    CHECK(page < PAGES && !dirty[page] && info->si_code == SEGV_ACCERR);
    dirty[page] = 1;
    faults++;
    CHECK(mprotect(heap + page * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
}

int main(void) {
    heap = fresh(PAGES * PAGE);
    struct sigaction action = {.sa_sigaction = barrier, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    uint64_t sum = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        CHECK(mprotect(heap, PAGES * PAGE, PROT_READ) == 0);
        memset((void *)dirty, 0, PAGES);
        unsigned char wanted[PAGES] = {0};
        for (uint64_t i = 0; i < 300; i++) {
            uint64_t at = mix(round, i) % (PAGES * PAGE);
            heap[at] = (unsigned char)(heap[at] + i);
            wanted[at / PAGE] = 1;
        }
        CHECK(memcmp(wanted, (void *)dirty, PAGES) == 0);
        sum = mix_bytes(mix(sum, (uint64_t)faults), heap, PAGES * PAGE);
    }
    return finish("write_barrier", sum);
}
