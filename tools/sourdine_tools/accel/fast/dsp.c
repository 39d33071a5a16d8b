// The loops over samples, unrolled, with two samples to a load where the buffers allow it.

#include "viper.h"
#include "fast/xtensa.h"

KERNEL int32_t unpack(const int32_t *words, int16_t *out, int32_t n, int32_t shift)
{
    int32_t largest = 0;
#define STEP(i)                                    \
    {                                              \
        int32_t x = words[i] >> shift;             \
        out[i] = (int16_t)(x = saturated(x));      \
        x = magnitude(x);                          \
        largest = x > largest ? x : largest;       \
    }
    for (; n >= 4; n -= 4, words += 4, out += 4) {
        STEP(0)
        STEP(1)
        STEP(2)
        STEP(3)
    }
    for (; n > 0; n--, words++, out++)
        STEP(0)
#undef STEP
    return largest;
}

#ifdef __xtensa__
// Sum of squares of 2 * pairs samples, at most 510, which the 40 bits of the accumulator hold.
static inline uint64_t squares(const int16_t *x, int32_t pairs)
{
    uint32_t low, high, cell;
    __asm__ volatile("wsr %4, acclo\n"
                     "wsr %4, acchi\n"
                     "loopnez %5, 1f\n"
                     "l32i %2, %3, 0\n"
                     "addi %3, %3, 4\n"
                     "mula.aa.ll %2, %2\n"
                     "mula.aa.hh %2, %2\n"
                     "1:\n"
                     "rsr %0, acclo\n"
                     "rsr %1, acchi\n"
                     : "=&r"(low), "=&r"(high), "=&r"(cell), "+r"(x)
                     : "r"(0), "r"(pairs)
                     : "memory");
    return (uint64_t)high << 32 | low;
}
#else
static inline uint64_t squares(const int16_t *x, int32_t pairs)
{
    uint64_t sum = 0;
    for (int32_t i = 0; i < 2 * pairs; i++)
        sum += (uint32_t)(x[i] * x[i]);
    return sum;
}
#endif

KERNEL int32_t energy(const int16_t *x, int32_t n)
{
    uint32_t count = (uint32_t)n;
    uint64_t sum = 0;
    if (n == 0)
        return 0;
    if ((uintptr_t)x & 2) {
        sum += (uint32_t)(*x * *x);
        x++, n--;
    }
    for (; n > 256; n -= 256, x += 256)
        sum += squares(x, 128);
    sum += squares(x, n >> 1);
    if (n & 1)
        sum += (uint32_t)(x[n - 1] * x[n - 1]);
    uint32_t high = (uint32_t)(sum >> 16), mean = high / count;
    return (int32_t)((mean << 16) + (((high - mean * count) << 16) + ((uint32_t)sum & 0xFFFF)) / count);
}

KERNEL void copy(const uint16_t *x, uint16_t *out, int32_t n)
{
    if ((((uintptr_t)x | (uintptr_t)out) & 2) == 0) {
        const uint32_t *from = (const uint32_t *)x;
        uint32_t *to = (uint32_t *)out;
#pragma clang loop unroll_count(8)
        for (int32_t i = 0; i < n >> 1; i++)
            to[i] = from[i];
        x += n & ~1;
        out += n & ~1;
        n &= 1;
    }
    for (int32_t i = 0; i < n; i++)
        out[i] = x[i];
}

KERNEL int32_t window(const int16_t *x, const uint16_t *weights, int16_t *out, int32_t n)
{
    int32_t largest = 0;
#define STEP(i)                              \
    {                                        \
        int32_t y = x[i] * weights[i] >> 12; \
        out[i] = (int16_t)y;                 \
        largest |= magnitude(y);             \
    }
    for (; n >= 4; n -= 4, x += 4, weights += 4, out += 4) {
        STEP(0)
        STEP(1)
        STEP(2)
        STEP(3)
    }
    for (; n > 0; n--, x++, weights++, out++)
        STEP(0)
#undef STEP
    return largest & 0x7FFF;
}
