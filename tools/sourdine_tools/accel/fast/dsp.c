// The loops over samples, unrolled.

#include "viper.h"
#include "fast/xtensa.h"

#define LINE(instruction, operands) instruction " " operands "\n"

KERNEL int32_t unpack(const int32_t *words, int16_t *out, int32_t n, int32_t shift)
{
    int32_t largest = 0;
#ifdef __xtensa__
    int32_t y, eights = n >> 3;
    n &= 7;
#define TWO(i, j, k, l)                                                                               \
    LINE("l32i", "%3, %0, " i) LINE("l32i", "%4, %0, " j) LINE("sra", "%3, %3") LINE("sra", "%4, %4") \
    LINE("clamps", "%3, %3, 15") LINE("clamps", "%4, %4, 15") LINE("s16i", "%3, %1, " k)              \
    LINE("s16i", "%4, %1, " l) LINE("abs", "%3, %3") LINE("abs", "%4, %4") LINE("max", "%2, %2, %3")  \
    LINE("max", "%2, %2, %4")
    __asm__ volatile(LINE("ssr", "%5") LINE("loopnez", "%4, 1f")
                     TWO("0", "4", "0", "2") TWO("8", "12", "4", "6")
                     TWO("16", "20", "8", "10") TWO("24", "28", "12", "14")
                     LINE("addi", "%0, %0, 32") LINE("addi", "%1, %1, 16")
                     "1:\n"
                     : "+r"(words), "+r"(out), "+r"(largest), "=&r"(y), "+r"(eights)
                     : "r"(shift)
                     : "memory");
#undef TWO
#endif
    for (; n > 0; n--) {
        int32_t x = saturated(*words++ >> shift), size = magnitude(x);
        *out++ = (int16_t)x;
        largest = size > largest ? size : largest;
    }
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

#define EIGHT(step) step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7)

KERNEL void copy(const uint32_t *x, uint32_t *out, int32_t n)
{
#define STEP(i) out[i] = x[i];
    for (; n > 0; n -= 16, x += 8, out += 8) {
        EIGHT(STEP)
    }
#undef STEP
}

KERNEL void lift(const uint32_t *x, uint32_t *out, int32_t n)
{
#define STEP(i) out[i] = x[i] ^ 0x80008000;
    for (; n > 0; n -= 16, x += 8, out += 8) {
        EIGHT(STEP)
    }
#undef STEP
}

KERNEL int32_t window(const uint16_t *x, const uint16_t *weights, int16_t *out, int32_t n)
{
    int32_t largest = 0;
#ifdef __xtensa__
    int32_t y, z, u, eights = n >> 3;
#define TWO(i, j)                                                                           \
    LINE("l16ui", "%4, %0, " i) LINE("l16ui", "%5, %1, " i) LINE("l16ui", "%6, %0, " j)     \
    LINE("addmi", "%4, %4, -0x8000") LINE("l16ui", "%7, %1, " j) LINE("mull", "%4, %4, %5") \
    LINE("addmi", "%6, %6, -0x8000") LINE("mull", "%6, %6, %7") LINE("srai", "%4, %4, 12")  \
    LINE("srai", "%6, %6, 12") LINE("s16i", "%4, %2, " i) LINE("abs", "%4, %4")             \
    LINE("s16i", "%6, %2, " j) LINE("abs", "%6, %6") LINE("or", "%3, %3, %4") LINE("or", "%3, %3, %6")
    __asm__ volatile(LINE("loopnez", "%7, 1f")
                     TWO("0", "2") TWO("4", "6") TWO("8", "10") TWO("12", "14")
                     LINE("addi", "%0, %0, 16") LINE("addi", "%1, %1, 16") LINE("addi", "%2, %2, 16")
                     "1:\n"
                     : "+r"(x), "+r"(weights), "+r"(out), "+r"(largest), "=&r"(y), "=&r"(z), "=&r"(u), "+r"(eights)
                     :
                     : "memory");
#else
    for (; n > 0; n--) {
        int32_t y = (*x++ - 0x8000) * *weights++ >> 12;
        *out++ = (int16_t)y;
        largest |= magnitude(y);
    }
#endif
    largest &= 0x7FFF;
    return largest ? (int32_t)(0xFFFFFFFFu >> leading_zeros(largest)) : 0;
}
