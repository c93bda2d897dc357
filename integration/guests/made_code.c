// Writes machine code, runs it, changes it, runs it again: writable-and-executable, and by mprotect.
#include "guest.h"

// mov $value,%eax; ret
static void emit(unsigned char *at, uint32_t value) {
    at[0] = 0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = 0xc3;
}
static uint32_t call(void *at) { return ((uint32_t (*)(void))(uintptr_t)at)(); }

int main(void) {
    enum { FUNCTIONS = 2000, STRIDE = 700 };
    size_t length = (FUNCTIONS * STRIDE + PAGE) & ~(PAGE - 1);
    unsigned char *open = mmap(NULL, length, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *guarded = fresh(length);
    CHECK(open != MAP_FAILED);
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 3; round++) {
        CHECK(mprotect(guarded, length, PROT_READ | PROT_WRITE) == 0);
        for (uint32_t i = 0; i < FUNCTIONS; i++) {
            if ((i * STRIDE) % PAGE > PAGE - 16) continue;
            emit(open + i * STRIDE, i + round);
            emit(guarded + i * STRIDE, i * 3 + round);
        }
        CHECK(mprotect(guarded, length, PROT_READ | PROT_EXEC) == 0);
        for (uint32_t i = 0; i < FUNCTIONS; i++) {
            if ((i * STRIDE) % PAGE > PAGE - 16) continue;
            CHECK(call(open + i * STRIDE) == i + round && call(guarded + i * STRIDE) == i * 3 + round);
            sum = mix(sum, call(guarded + i * STRIDE));
        }
    }
    return finish("made_code", sum);
}
