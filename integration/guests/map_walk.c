// A walk through mmap, mremap, munmap, mprotect, madvise, mincore and msync, checked against what Linux
// promises.
#include "guest.h"

static void paint(unsigned char *at, size_t length, unsigned seed) {
    for (size_t i = 0; i < length; i++) at[i] = (unsigned char)(i / 97 + seed);
}
static void verify(const unsigned char *at, size_t length, unsigned seed) {
    for (size_t i = 0; i < length; i++) CHECK(at[i] == (unsigned char)(i / 97 + seed));
}
static void verify_zero(const unsigned char *at, size_t length) {
    for (size_t i = 0; i < length; i++) CHECK(at[i] == 0);
}

static void splits(void) {
    unsigned char *at = fresh(64 * PAGE);
    paint(at, 64 * PAGE, 1);
    CHECK(munmap(at + 16 * PAGE, 16 * PAGE) == 0);
    verify(at, 16 * PAGE, 1);
    CHECK(mmap(at + 20 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at + 20 * PAGE);
    CHECK(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    verify_zero(at + 20 * PAGE, 4 * PAGE);
    CHECK(mmap(at + 8 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at + 8 * PAGE);
    verify(at, 8 * PAGE, 1);
    verify_zero(at + 8 * PAGE, 8 * PAGE);
    CHECK(mprotect(at + 16 * PAGE, 2 * PAGE, PROT_READ) == -1 && errno == ENOMEM);
    CHECK(munmap(at, 64 * PAGE) == 0);
}

static void moves(void) {
    unsigned char *at = fresh(32 * PAGE);
    paint(at, 32 * PAGE, 2);
    at = mremap(at, 32 * PAGE, 96 * PAGE, MREMAP_MAYMOVE);
    CHECK(at != MAP_FAILED);
    verify(at, 32 * PAGE, 2);
    verify_zero(at + 32 * PAGE, 64 * PAGE);
    at = mremap(at, 96 * PAGE, 16 * PAGE, 0);
    CHECK(at != MAP_FAILED);
    verify(at, 16 * PAGE, 2);
    unsigned char *target = fresh(16 * PAGE);
    paint(target, 16 * PAGE, 77);
    CHECK(mremap(at, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    verify(target, 16 * PAGE, 2);
    CHECK(mremap(target, 1, PAGE, 12345) == MAP_FAILED && errno == EINVAL);
    CHECK(munmap(target, 16 * PAGE) == 0);
    CHECK(mremap(target, 16 * PAGE, 32 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
}

static void advice(void) {
    unsigned char *at = fresh(64 * PAGE);
    paint(at, 64 * PAGE, 3);
    CHECK(madvise(at + 8 * PAGE, 8 * PAGE, MADV_DONTNEED) == 0);
    verify(at, 8 * PAGE, 3);
    verify_zero(at + 8 * PAGE, 8 * PAGE);
    CHECK(madvise(at, 64 * PAGE, MADV_WILLNEED) == 0 && madvise(at, 64 * PAGE, MADV_RANDOM) == 0);
    CHECK(madvise(at + 1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
    CHECK(madvise(at, PAGE, 4242) == -1 && errno == EINVAL);
    CHECK(mprotect(at, 4 * PAGE, PROT_NONE) == 0 && mprotect(at, 4 * PAGE, PROT_READ) == 0);
    verify(at, 4 * PAGE, 3);
    unsigned char residency[64];
    CHECK(mincore(at, 64 * PAGE, residency) == 0);
    CHECK(mlock(at, PAGE) == 0 && munlock(at, PAGE) == 0);
    CHECK(msync(at, 64 * PAGE, MS_SYNC) == 0);
    CHECK(munmap(at, 64 * PAGE) == 0 && munmap(at, 64 * PAGE) == 0);
    CHECK(munmap(at + 1, PAGE) == -1 && errno == EINVAL);
    CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
}

static uint64_t reservation(void) {
    size_t huge = 1UL << 40;
    unsigned char *at = mmap(NULL, huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED);
    uint64_t sum = 0;
    for (size_t i = 0; i < 64; i++) {
        unsigned char *piece = at + i * (huge / 64);
        CHECK(mprotect(piece, 4 * PAGE, PROT_READ | PROT_WRITE) == 0);
        paint(piece, 4 * PAGE, (unsigned)i);
        verify(piece, 4 * PAGE, (unsigned)i);
        sum = mix_bytes(sum, piece, 4 * PAGE);
    }
    CHECK(munmap(at, huge) == 0);
    return sum;
}

static uint64_t scattered(void) {
    unsigned char *pieces[300];
    uint64_t sum = 0;
    for (size_t i = 0; i < 300; i++) paint(pieces[i] = fresh((1 + i % 7) * PAGE), (1 + i % 7) * PAGE, (unsigned)i);
    for (size_t i = 0; i < 300; i += 3) CHECK(munmap(pieces[i], (1 + i % 7) * PAGE) == 0);
    for (size_t i = 0; i < 300; i++)
        if (i % 3) verify(pieces[i], (1 + i % 7) * PAGE, (unsigned)i), sum = mix(sum, pieces[i][PAGE - 1]);
    for (size_t i = 0; i < 300; i++)
        if (i % 3) CHECK(munmap(pieces[i], (1 + i % 7) * PAGE) == 0);
    return sum;
}

int main(void) {
    for (int i = 0; i < 5; i++) splits(), moves(), advice();
    return finish("map_walk", mix(reservation(), scattered()));
}
