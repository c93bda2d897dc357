// Vector and floating-point registers, flags, rounding mode and the red zone survive faults in the middle of
// computation.
#include "guest.h"
#include <fenv.h>
#include <immintrin.h>

static double sweep(const double *values, size_t count) {
    double a = 0, b = 0, c = 0, d = 0;
    for (size_t i = 0; i + 4 <= count; i += 4) a += values[i], b -= values[i + 1] * 0.5, c += a * values[i + 2], d += c - values[i + 3];
    return a + b + c * 1e-9 + d * 1e-12;
}
__attribute__((target("avx2"))) static uint64_t sweep_avx(const unsigned char *bytes, size_t length) {
    __m256i sum = _mm256_set1_epi64x(3), other = _mm256_set1_epi64x(11);
    for (size_t i = 0; i + 32 <= length; i += 32) {
        __m256i value = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + i));
        sum = _mm256_add_epi64(_mm256_xor_si256(sum, value), other);
        other = _mm256_sub_epi64(other, value);
    }
    uint64_t words[4];
    _mm256_storeu_si256((__m256i *)(void *)words, sum);
    return words[0] ^ words[1] ^ words[2] ^ words[3];
}
// A leaf function keeps values below its stack pointer while it touches new pages.
static uint64_t red_zone(volatile unsigned char *bytes, size_t length) {
    uint64_t kept[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < length; i += 64) kept[i / 64 % 8] = kept[(i / 64 + 3) % 8] * 31 + bytes[i]++;
    return kept[0] ^ kept[1] ^ kept[2] ^ kept[3] ^ kept[4] ^ kept[5] ^ kept[6] ^ kept[7];
}

int main(void) {
    size_t count = MIB;
    double *values = fresh(count * sizeof *values);
    CHECK(fesetround(FE_DOWNWARD) == 0);
    for (size_t i = 0; i < count; i++) values[i] = 1.0 / (double)(i + 3);
    uint64_t sum = 0;
    for (int round = 0; round < 3; round++) {
        double result = sweep(values, count);
        sum = mix_bytes(sum, &result, sizeof result);
    }
    CHECK(fegetround() == FE_DOWNWARD);
    long double wide = 1.0L;
    for (size_t i = 0; i < count; i += 100) wide = wide * 1.0000001L + (long double)values[i];
    sum = mix(sum, (uint64_t)(wide * 1e6L));
    if (__builtin_cpu_supports("avx2")) sum = mix(sum, sweep_avx((unsigned char *)values, count * sizeof *values));
    sum = mix(sum, red_zone(fresh(8 * MIB), 8 * MIB));
    return finish("registers", sum);
}
