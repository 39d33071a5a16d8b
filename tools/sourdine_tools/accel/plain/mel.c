// mel.py's steps from energies to features, whose docstrings say what they compute.

#include "viper.h"

enum { CHANNELS = 40, SLOPES = 41 };

static inline uint32_t bits_of(uint32_t x)
{
    uint32_t bits = 0;
    while (x) {
        x >>= 1;
        bits++;
    }
    return bits;
}

KERNEL void filterbank(const uint32_t *energies, const uint16_t *weights, const uint8_t *counts, uint32_t *out)
{
    uint32_t high = 0, low = 0; // what the slope before leaves to this triangle
    for (int slope = 0; slope < SLOPES; slope++) {
        uint32_t rising_high = 0, rising_low = 0, total_high = 0, total_low = 0;
        for (int n = counts[slope]; n; n--) {
            uint32_t w = *weights++, e = *energies++;
            rising_low += w * (e & 0xFFFF);
            rising_high += w * (e >> 16);
            total_low += e & 0xFFFF;
            total_high += e >> 16;
        }
        if (slope) {
            low += rising_low;
            *out++ = high + rising_high + (low >> 16);
            *out++ = low & 0xFFFF;
        }
        high = (total_high << 12) - rising_high;
        low = (total_low << 12) - rising_low;
    }
}

// One more digit of 8 bits: s and rest = x - s * s of the digits before.
static inline void divide(uint32_t *s, int32_t *rest, uint32_t digit)
{
    int32_t dividend = (*rest << 8) + (int32_t)(digit >> 8);
    int32_t twice = (int32_t)*s << 1, q = dividend / twice;
    *rest = ((dividend - q * twice) << 8) + (int32_t)(digit & 255) - q * q;
    *s = (*s << 8) + (uint32_t)q;
    while (*rest < 0) {
        (*s)--;
        *rest += (int32_t)(*s << 1) + 1;
    }
}

KERNEL void root(const uint32_t *sums, const uint16_t *guesses, int32_t shift, uint32_t *out)
{
    for (int i = 0; i < CHANNELS; i++) {
        uint32_t high = sums[2 * i], low = sums[2 * i + 1], s = 0;
        int small = high >> 16 == 0, half = 0;
        if (high | low) {
            while (high >> 22 == 0) {
                high = high << 8 | low >> 8;
                low = low << 8 & 0xFFFF;
                half += 4;
            }
            while (high >> 30 == 0) {
                high = high << 2 | low >> 14;
                low = low << 2 & 0xFFFF;
                half++;
            }
            s = guesses[high >> 24] >> 8;
            int32_t rest = (int32_t)(high >> 16) - (int32_t)(s * s);
            while (rest < 0) {
                s--;
                rest += (int32_t)(s << 1) + 1;
            }
            divide(&s, &rest, high & 0xFFFF);
            divide(&s, &rest, low);
            if (half)
                s = (s + (1u << (half - 1))) >> half;
            else if (rest > (int32_t)s)
                s++;
            if (s == 0x10000 && small)
                s = 0xFFFF;
        }
        out[i] = s >> shift;
    }
}

KERNEL void denoise(uint32_t *signal, uint32_t *noise)
{
    uint32_t rate = 409;
    for (int i = 0; i < CHANNELS; i++) {
        uint32_t x = signal[i], now = x << 10, mean = noise[i], keep = 16384 - rate;
        uint32_t low = (now & 0xFFFF) * rate + (mean & 0xFFFF) * keep;
        uint32_t high = (now >> 16) * rate + (mean >> 16) * keep + (low >> 16);
        noise[i] = mean = high << 2 | (low >> 14 & 3);
        uint32_t least = (x >> 14) * 819 + ((x & 0x3FFF) * 819 >> 14);
        uint32_t rest = now > mean ? (now - mean) >> 10 : 0;
        signal[i] = rest < least ? least : rest;
        rate = 1392 - rate;
    }
}

KERNEL void equalise(uint32_t *signal, const uint32_t *noise, const int16_t *gains, const uint8_t *lengths)
{
    for (int i = 0; i < CHANNELS; i++) {
        uint32_t x = noise[i], bits = bits_of(x);
        int32_t gain;
        if (bits < 2) {
            gain = gains[x];
        } else {
            const int16_t *p = gains + 4 * bits - 6;
            int32_t t = (int32_t)((bits < 11 ? x << (11 - bits) : x >> (bits - 11)) & 0x3FF);
            gain = (p[2] * t >> 5) + p[1] * 32;
            gain = ((gain * t + 0x4000) >> 15) + p[0];
        }
        int32_t y = (int32_t)signal[i];
        y = ((y >> 12) * gain << 6) + ((y & 0xFFF) * gain >> 6);
        signal[i] = (uint32_t)(y < 8192 ? y * y >> 20 : (y >> 6) - 64);
    }
}

KERNEL void logarithm(const uint32_t *signal, const uint16_t *curve, uint16_t *out, const uint8_t *lengths)
{
    for (int i = 0; i < CHANNELS; i++) {
        uint32_t x = signal[i] << 3, y = 0;
        if (x) {
            uint32_t bits = bits_of(x) - 1;
            x -= 1u << bits;
            x = bits < 16 ? x << (16 - bits) : x >> (bits - 16);
            int32_t p = curve[x >> 9], q = curve[(x >> 9) + 1];
            x += (uint32_t)(p + ((q - p) * (int32_t)(x & 0x1FF) >> 16));
            y = 45426 * bits + ((x * 45426 + 0x8000) >> 16);
            y = ((y << 6) + 0x8000) >> 16;
        }
        out[i] = (uint16_t)y;
    }
}

KERNEL void quantize(const uint16_t *x, int8_t *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = x[i] < 665 ? (int8_t)((x[i] * 1275 + 1664) / 3328 - 128) : 127;
}
