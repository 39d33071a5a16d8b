// The net's loops: sums in the MAC16 unit or in registers, and copies by words.

#include "viper.h"

#define LIFT (1 << 29)

// Places in the tables of the kernels that accumulate.
enum { X, STEP, WINDOWS, N, M, W, BIAS, ACC, ACC_STEP, ROW };

#define LINE(instruction, operands) instruction " " operands "\n"

KERNEL void move(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    for (int32_t copies = *table++; copies; copies--, table += 6) {
        const uint8_t *source = arena + table[0];
        uint8_t *target = arena + table[2];
        for (int32_t count = table[5]; count; count--) {
            const uint8_t *x = source;
            uint8_t *y = target;
            int32_t size = table[4];
            if ((((word)x | (word)y) & 3) == 0) {
                const uint32_t *from = (const uint32_t *)x;
                uint32_t *to = (uint32_t *)y;
#define FOUR(i)                                                                        \
    {                                                                                  \
        uint32_t a = from[i], b = from[(i) + 1], c = from[(i) + 2], d = from[(i) + 3]; \
        to[i] = a, to[(i) + 1] = b, to[(i) + 2] = c, to[(i) + 3] = d;                  \
    }
                for (; size >= 64; size -= 64, from += 16, to += 16) {
                    FOUR(0)
                    FOUR(4)
                    FOUR(8)
                    FOUR(12)
                }
                for (; size >= 16; size -= 16, from += 4, to += 4)
                    FOUR(0)
#undef FOUR
                for (; size >= 4; size -= 4)
                    *to++ = *from++;
                x = (const uint8_t *)from;
                y = (uint8_t *)to;
            }
            for (; size >= 4; size -= 4, x += 4, y += 4) {
                uint8_t a = x[0], b = x[1], c = x[2], d = x[3];
                y[0] = a, y[1] = b, y[2] = c, y[3] = d;
            }
            for (; size; size--)
                *y++ = *x++;
            source += table[1];
            target += table[3];
        }
    }
}

// out[0..15] += the sums of 16 inputs, two to an x, times their rows of 16 weights.
#ifdef __xtensa__
static inline __attribute__((always_inline)) void add_16(int32_t *out, const uint8_t *w, const uint32_t *x)
{
    int32_t t, u = 16; // u counts before it holds weights
#define TWO(x, at) LINE("l8ui", "%3, %1, " at "+16") LINE("mula.aa.ll", "%2, " x)
#define THEN(x, at) LINE("l8ui", "%2, %1, " at "+32") LINE("mula.aa.lh", "%3, " x)
    __asm__ volatile(LINE("loop", "%3, 1f")
                     LINE("l32i", "%3, %0, 0") LINE("l8ui", "%2, %1, 0") LINE("wsr", "%3, acclo")
                     TWO("%4", "0") THEN("%4", "0") TWO("%5", "32") THEN("%5", "32")
                     TWO("%6", "64") THEN("%6", "64") TWO("%7", "96") THEN("%7", "96")
                     TWO("%8", "128") THEN("%8", "128") TWO("%9", "160") THEN("%9", "160")
                     TWO("%10", "192") THEN("%10", "192") TWO("%11", "224") LINE("mula.aa.lh", "%3, %11")
                     LINE("addi", "%1, %1, 1") LINE("rsr", "%3, acclo")
                     LINE("s32i", "%3, %0, 0") LINE("addi", "%0, %0, 4")
                     "1:\n"
                     : "+r"(out), "+r"(w), "=&r"(t), "+r"(u)
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]), "r"(x[6]), "r"(x[7])
                     : "memory");
}

// The same of 8 inputs.
static inline __attribute__((always_inline)) void add_8(int32_t *out, const uint8_t *w, const uint32_t *x)
{
    int32_t t, u = 16;
    __asm__ volatile(LINE("loop", "%3, 1f")
                     LINE("l32i", "%3, %0, 0") LINE("l8ui", "%2, %1, 0") LINE("wsr", "%3, acclo")
                     TWO("%4", "0") THEN("%4", "0") TWO("%5", "32") THEN("%5", "32")
                     TWO("%6", "64") THEN("%6", "64") TWO("%7", "96") LINE("mula.aa.lh", "%3, %7")
                     LINE("addi", "%1, %1, 1") LINE("rsr", "%3, acclo")
                     LINE("s32i", "%3, %0, 0") LINE("addi", "%0, %0, 4")
                     "1:\n"
                     : "+r"(out), "+r"(w), "=&r"(t), "+r"(u)
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
                     : "memory");
#undef TWO
#undef THEN
}
#else
static inline void add_n(int32_t *out, const uint8_t *w, const uint32_t *x, int inputs)
{
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < inputs; k++)
            out[i] += (int32_t)(x[k >> 1] >> 16 * (k & 1) & 0xFFFF) * w[16 * k + i];
}

static inline void add_16(int32_t *out, const uint8_t *w, const uint32_t *x)
{
    add_n(out, w, x, 16);
}

static inline void add_8(int32_t *out, const uint8_t *w, const uint32_t *x)
{
    add_n(out, w, x, 8);
}
#endif

KERNEL void dense(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[X];
    uint8_t *acc = arena + table[ACC];
    int32_t n = (table[N] + 7) & ~7; // past the window the weights are 0
    for (int32_t windows = table[WINDOWS]; windows; windows--, x += table[STEP], acc += table[ACC_STEP]) {
        const uint8_t *w = weights + table[W], *p = x, *last = x + table[N];
        const int32_t *bias = (const int32_t *)(weights + table[BIAS]);
        int32_t sum = 0;
        for (; p + 8 <= last; p += 8)
            sum += p[0] + p[1] + p[2] + p[3] + p[4] + p[5] + p[6] + p[7];
        for (; p < last; p++)
            sum += *p;
        sum *= 128;
        for (int32_t *out = (int32_t *)acc, *end = out + 16 * table[M]; out < end; out += 4, bias += 4) {
            int32_t a = bias[0], b = bias[1], c = bias[2], d = bias[3];
            out[0] = a - sum, out[1] = b - sum, out[2] = c - sum, out[3] = d - sum;
        }
        int32_t k = 0;
        for (; k + 16 <= n; k += 16, w += 256) {
            const uint8_t *q = w;
            p = x + k;
            uint32_t pairs[8] = {p[0] | p[1] << 16, p[2] | p[3] << 16, p[4] | p[5] << 16, p[6] | p[7] << 16,
                                 p[8] | p[9] << 16, p[10] | p[11] << 16, p[12] | p[13] << 16, p[14] | p[15] << 16};
            int32_t *out = (int32_t *)acc;
            for (int32_t blocks = table[M]; blocks; blocks--, q += 16 * n, out += 16)
                add_16(out, q, pairs);
        }
        if (k < n) {
            p = x + k;
            uint32_t pairs[4] = {p[0] | p[1] << 16, p[2] | p[3] << 16, p[4] | p[5] << 16, p[6] | p[7] << 16};
            int32_t *out = (int32_t *)acc;
            for (int32_t blocks = table[M]; blocks; blocks--, w += 16 * n, out += 16)
                add_8(out, w, pairs);
        }
    }
}

KERNEL void dot(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[X];
    uint8_t *acc = arena + table[ACC];
    const int32_t *bias = (const int32_t *)(weights + table[BIAS]);
    for (int32_t windows = table[WINDOWS]; windows; windows--, x += table[STEP], acc += table[ACC_STEP]) {
        const uint8_t *w = weights + table[W];
        for (int32_t i = 0; i < table[M]; i++) {
            const uint8_t *p = x;
            int32_t s = bias[i], n = table[N];
            for (; n >= 4; n -= 4, p += 4, w += 4) {
                s += p[0] * (w[0] - 128);
                s += p[1] * (w[1] - 128);
                s += p[2] * (w[2] - 128);
                s += p[3] * (w[3] - 128);
            }
            for (; n; n--)
                s += *p++ * (*w++ - 128);
            ((int32_t *)acc)[i] = s;
        }
    }
}

// s[0..7] of 8 channels next to each other, n taps that are `row` bytes apart.
#ifdef __xtensa__
static inline void channels_8(int32_t *out, const int32_t *bias, const uint8_t *x, const uint8_t *w, int32_t row,
                              int32_t n)
{
    int32_t s0 = bias[0], s1 = bias[1], s2 = bias[2], s3 = bias[3];
    int32_t s4 = bias[4], s5 = bias[5], s6 = bias[6], s7 = bias[7], t;
    // n counts before it holds weights.
#define CHANNEL(s, at)                                                                               \
    LINE("l8ui", "%11, %9, " at) LINE("l8ui", "%10, %8, " at) LINE("addi", "%11, %11, -128")         \
    LINE("mull", "%10, %10, %11") LINE("add.n", s ", " s ", %10")
    __asm__ volatile(LINE("loopnez", "%11, 1f")
                     CHANNEL("%0", "0") CHANNEL("%1", "1") CHANNEL("%2", "2") CHANNEL("%3", "3")
                     CHANNEL("%4", "4") CHANNEL("%5", "5") CHANNEL("%6", "6") CHANNEL("%7", "7")
                     LINE("add.n", "%8, %8, %12") LINE("add.n", "%9, %9, %12")
                     "1:\n"
                     : "+r"(s0), "+r"(s1), "+r"(s2), "+r"(s3), "+r"(s4), "+r"(s5), "+r"(s6), "+r"(s7), "+r"(x), "+r"(w),
                       "=&r"(t), "+r"(n)
                     : "r"(row)
                     : "memory");
#undef CHANNEL
    out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3, out[4] = s4, out[5] = s5, out[6] = s6, out[7] = s7;
}
#else
static inline void channels_8(int32_t *out, const int32_t *bias, const uint8_t *x, const uint8_t *w, int32_t row,
                              int32_t n)
{
    for (int i = 0; i < 8; i++) {
        int32_t s = bias[i];
        for (int32_t k = 0; k < n; k++)
            s += x[k * row + i] * (w[k * row + i] - 128);
        out[i] = s;
    }
}
#endif

KERNEL void depthwise(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[X];
    uint8_t *acc = arena + table[ACC];
    int32_t taps = table[N], row = table[ROW], channels = table[M] < 32 ? 32 : table[M];
    for (int32_t windows = table[WINDOWS]; windows; windows--, x += table[STEP], acc += table[ACC_STEP])
        for (int32_t i = 0; i < channels; i += 8) {
            if (i + 8 > channels) // some of them again
                i = channels - 8;
            const int32_t *bias = (const int32_t *)(weights + table[BIAS]) + i;
            channels_8((int32_t *)acc + i, bias, x + i, weights + table[W] + i, row, taps);
        }
}

// a * multiplier / 2^31 rounded half up, then / 2^shift rounded half away from zero.
static inline int32_t scaled(int32_t a, int32_t multiplier, int32_t shift)
{
    int32_t left = shift > 31 ? shift - 32 : 0, right = shift > 31 ? 0 : shift;
    a <<= left;
    int32_t a1 = a >> 15, a0 = a & 0x7FFF, m1 = multiplier >> 16, m0 = multiplier & 0xFFFF;
    int32_t u = a1 * m0, v = a0 * m1;
    int32_t low = (u & 0xFFFF) + ((v & 0x7FFF) << 1) + (a0 * m0 >> 15) + 0x8000;
    int32_t r = a1 * m1 + (u >> 16) + (v >> 15) + (low >> 16);
    return right ? (r - (r < 0) + (1 << (right - 1))) >> right : r;
}

KERNEL void requantise(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *acc = arena + table[0];
    uint8_t *out = arena + table[4];
    int32_t drop = table[9], places = table[10], mask = (1 << places) - (1 << table[11]), offset = table[12];
    for (int32_t windows = table[1]; windows; windows--, acc += table[3], out += table[5]) {
        const int32_t *a = (const int32_t *)acc;
        const uint16_t *factor = (const uint16_t *)(weights + table[6]);
        for (uint8_t *y = out, *end = out + table[2]; y < end; y++, a++, factor++) {
            int32_t v = *factor * ((*a - LIFT) >> drop) + offset, r = v >> places;
            if ((uint32_t)r > 255) {
                r = v < 0 ? 0 : 255;
            } else if ((v & mask) == 0) { // the only case in which that is not the exact one
                int32_t i = (int32_t)(y - out);
                r = scaled(*a - LIFT, ((const int32_t *)(weights + table[7]))[i], weights[table[8] + i]) + table[13];
                r = r < 0 ? 0 : r > 255 ? 255 : r;
            }
            *y = (uint8_t)r;
        }
    }
}

KERNEL void lookup(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[0], *values = weights + table[3];
    uint8_t *y = arena + table[1];
    for (const uint8_t *end = x + table[2]; x < end; x++, y++)
        *y = values[*x];
}
