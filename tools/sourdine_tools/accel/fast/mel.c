// mel.py's steps with the instructions that count bits, and without masks by 0xFFFF.

#include "viper.h"
#include "fast/xtensa.h"

enum { CHANNELS = 40, SLOPES = 41 };

// Over a slope: all = sum(e * w) mod 2^32, high = sum((e >> 16) * w), and the same of e alone.
typedef struct {
    uint32_t all, high, total, total_high;
} slope;

#ifdef __xtensa__
static inline slope summed(const uint32_t **energies, const uint16_t **weights, int32_t n)
{
    slope sum = {0, 0, 0, 0};
    uint32_t e, w;
    // e is below 2^31, so its high half is no less than 0 as a signed one.
    __asm__ volatile("wsr %8, acclo\n"
                     "loopnez %7, 1f\n"
                     "l32i %4, %2, 0\n"
                     "l16ui %5, %3, 0\n"
                     "addi %2, %2, 4\n"
                     "addi %3, %3, 2\n"
                     "add %6, %6, %4\n"
                     "mula.aa.hl %4, %5\n"
                     "mull %5, %4, %5\n"
                     "extui %4, %4, 16, 16\n"
                     "add %1, %1, %4\n"
                     "add %0, %0, %5\n"
                     "1:\n"
                     "rsr %4, acclo\n"
                     : "+r"(sum.all), "+r"(sum.total_high), "+r"(*energies), "+r"(*weights), "=&r"(e), "=&r"(w),
                       "+r"(sum.total)
                     : "r"(n), "r"(0)
                     : "memory");
    sum.high = e;
    return sum;
}
#else
static inline slope summed(const uint32_t **energies, const uint16_t **weights, int32_t n)
{
    slope sum = {0, 0, 0, 0};
    for (; n; n--) {
        uint32_t e = *(*energies)++, w = *(*weights)++;
        sum.all += e * w;
        sum.high += (e >> 16) * w;
        sum.total += e;
        sum.total_high += e >> 16;
    }
    return sum;
}
#endif

KERNEL void filterbank(const uint32_t *energies, const uint16_t *weights, const uint8_t *counts, uint32_t *out)
{
    uint32_t high = 0, low = 0; // what the slope before leaves to this triangle
    for (int i = 0; i < SLOPES; i++) {
        slope sum = summed(&energies, &weights, *counts++);
        uint32_t rising_low = sum.all - (sum.high << 16);
        if (i) {
            low += rising_low;
            *out++ = high + sum.high + (low >> 16);
            *out++ = (uint32_t)low16((int32_t)low);
        }
        high = (sum.total_high << 12) - sum.high;
        low = ((sum.total - (sum.total_high << 16)) << 12) - rising_low;
    }
}

// One more digit of 8 bits: s and rest = x - s * s of the digits before.
static inline void divide(uint32_t *s, int32_t *rest, uint32_t digit)
{
    uint32_t dividend = ((uint32_t)*rest << 8) + (digit >> 8), twice = *s << 1, q = dividend / twice;
    *rest = (int32_t)(((dividend - q * twice) << 8) + (digit & 255) - q * q);
    *s = (*s << 8) + q;
    while (*rest < 0) {
        (*s)--;
        *rest += (int32_t)(*s << 1) + 1;
    }
}

KERNEL void root(const uint32_t *sums, const uint16_t *guesses, int32_t shift, uint32_t *out)
{
    for (uint32_t *end = out + CHANNELS; out < end; out++, sums += 2) {
        uint32_t high = sums[0], low = sums[1] << 16, s = 0;
        int32_t small = high >> 16 == 0, half = 0;
        if (high == 0) {
            high = low;
            low = 0;
            half = 16;
        }
        if (high) {
            int32_t even = leading_zeros((int32_t)high) & 30;
            shift_left(&high, &low, even);
            half += even >> 1;
            s = guesses[high >> 24] >> 8; // of 16 bits; 1 off at most
            int32_t rest = (int32_t)(high >> 16) - (int32_t)(s * s);
            while (rest < 0) {
                s--;
                rest += (int32_t)(s << 1) + 1;
            }
            divide(&s, &rest, (uint32_t)low16((int32_t)high));
            divide(&s, &rest, low >> 16);
            if (half)
                s = (s + (1u << half >> 1)) >> half;
            else if (rest > (int32_t)s)
                s++;
            if (s == 0x10000 && small)
                s = 0xFFFF;
        }
        *out = s >> shift;
    }
}

KERNEL void denoise(uint32_t *signal, uint32_t *noise)
{
    int32_t rate = 409;
    for (uint32_t *end = signal + CHANNELS; signal < end; signal++, noise++) {
        uint32_t x = *signal, now = x << 10, mean = *noise;
        int32_t keep = 16384 - rate;
        uint32_t low = (uint32_t)(low16((int32_t)now) * rate) + (uint32_t)(low16((int32_t)mean) * keep);
        uint32_t high = (now >> 16) * (uint32_t)rate + (mean >> 16) * (uint32_t)keep + (low >> 16);
        *noise = mean = high << 2 | (low >> 14 & 3);
        uint32_t least = (x >> 14) * 819 + ((x & 0x3FFF) * 819 >> 14);
        uint32_t rest = now > mean ? (now - mean) >> 10 : 0;
        *signal = rest < least ? least : rest;
        rate = 1392 - rate;
    }
}

KERNEL void equalise(uint32_t *signal, const uint32_t *noise, const int16_t *gains, const uint8_t *lengths)
{
    for (uint32_t *end = signal + CHANNELS; signal < end; signal++) {
        uint32_t x = *noise++;
        int32_t bits = 32 - leading_zeros((int32_t)x), gain;
        if (bits < 2) {
            gain = gains[x];
        } else {
            const int16_t *p = gains + 4 * bits - 6;
            int32_t t = (int32_t)((x << (32 - bits)) >> 21 & 0x3FF);
            gain = (p[2] * t >> 5) + (p[1] << 5);
            gain = ((gain * t + 0x4000) >> 15) + p[0];
        }
        int32_t y = (int32_t)*signal;
        y = ((y >> 12) * gain << 6) + ((y & 0xFFF) * gain >> 6);
        *signal = (uint32_t)(y < 8192 ? y * y >> 20 : (y >> 6) - 64);
    }
}

KERNEL void logarithm(const uint32_t *signal, const uint16_t *curve, uint16_t *out, const uint8_t *lengths)
{
    for (const uint32_t *end = signal + CHANNELS; signal < end; signal++) {
        uint32_t x = *signal << 3, y = 0;
        if (x) {
            int32_t zeros = leading_zeros((int32_t)x);
            x = x << zeros << 1; // the fraction, at the top
            const uint16_t *p = curve + (x >> 25);
            x >>= 16;
            x += (uint32_t)(p[0] + ((p[1] - p[0]) * (int32_t)(x & 0x1FF) >> 16));
            y = 45426 * (31 - (uint32_t)zeros) + ((x * 45426 + 0x8000) >> 16);
            y = ((y << 6) + 0x8000) >> 16;
        }
        *out++ = (uint16_t)y;
    }
}
