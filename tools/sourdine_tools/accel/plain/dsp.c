// dsp.py's loops over samples, whose docstrings say what they compute.

#include "viper.h"

KERNEL int32_t unpack(const int32_t *words, int16_t *out, int32_t n, int32_t shift)
{
    int32_t largest = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t x = words[i] >> shift;
        x = x < -32768 ? -32768 : x > 32767 ? 32767 : x;
        int32_t size = x < 0 ? -x : x;
        largest = size > largest ? size : largest;
        out[i] = (int16_t)x;
    }
    return largest;
}

KERNEL int32_t energy(const int16_t *x, int32_t n)
{
    uint32_t high = 0, low = 0; // of the sum, high * 2^16 + low
    if (n == 0)
        return 0;
    for (int32_t i = 0; i < n; i++) {
        uint32_t square = (uint32_t)(x[i] * x[i]);
        high += square >> 16;
        low += square & 0xFFFF;
    }
    uint32_t mean = high / (uint32_t)n;
    return (int32_t)((mean << 16) + (((high - mean * (uint32_t)n) << 16) + low) / (uint32_t)n);
}

KERNEL void mix(int16_t *out, const int16_t *x, int32_t n, int32_t gain_q8)
{
    for (int32_t i = 0; i < n; i++) {
        int32_t y = out[i] + (x[i] * gain_q8 >> 8);
        out[i] = (int16_t)(y < -32768 ? -32768 : y > 32767 ? 32767 : y);
    }
}

KERNEL void copy(const uint32_t *x, uint32_t *out, int32_t n)
{
    for (int32_t i = 0; i < n / 2; i++)
        out[i] = x[i];
}

KERNEL void lift(const int16_t *x, uint16_t *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = (uint16_t)(x[i] + 0x8000);
}

KERNEL void spread(const uint16_t *x, uint16_t *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        out[2 * i] = out[2 * i + 1] = x[i];
}

KERNEL int32_t window(const uint16_t *x, const uint16_t *weights, int16_t *out, int32_t n)
{
    int32_t largest = 0, ones = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t y = (x[i] - 0x8000) * weights[i] >> 12;
        out[i] = (int16_t)y;
        largest |= y < 0 ? -y : y;
    }
    while (largest & 0x7FFF & ~ones)
        ones = 2 * ones + 1;
    return ones;
}
