// int8.py's loops of the net, whose docstrings say what they compute and what their tables hold.

#include "viper.h"

KERNEL void take(uint8_t *arena, const uint8_t *features, const int32_t *table)
{
    uint8_t *target = arena + table[0];
    for (int32_t i = 0; i < table[1]; i++)
        target[i] = features[i] ^ 0x80;
}

KERNEL void move(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    for (int32_t copies = *table++; copies; copies--, table += 6) {
        const uint8_t *source = arena + table[0];
        uint8_t *target = arena + table[2];
        for (int32_t count = table[5]; count; count--) {
            for (int32_t i = 0; i < table[4]; i++)
                target[i] = source[i];
            source += table[1];
            target += table[3];
        }
    }
}

KERNEL void dense(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[0];
    const int32_t *bias = (const int32_t *)(weights + table[6]);
    int32_t *out = (int32_t *)(arena + table[7]), n = table[3], m = table[4];
    for (int32_t windows = table[2]; windows; windows--, x += table[1]) {
        const uint8_t *w = weights + table[5];
        int32_t sum = 0;
        for (int32_t k = 0; k < n; k++)
            sum += x[k];
        for (int32_t i = 0; i < m; i++, w += n) {
            int32_t s = bias[i] - 128 * sum;
            for (int32_t k = 0; k < n; k++)
                s += x[k] * w[k];
            *out++ = s;
        }
    }
}

KERNEL void depthwise(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[0], *w = weights + table[5];
    const int32_t *bias = (const int32_t *)(weights + table[6]);
    int32_t *out = (int32_t *)(arena + table[7]), n = table[3], m = table[4];
    for (int32_t windows = table[2]; windows; windows--, x += table[1])
        for (int32_t i = 0; i < m; i++) {
            int32_t s = bias[i];
            for (int32_t k = 0; k < n; k++)
                s += x[k * m + i] * (w[k * m + i] - 128);
            *out++ = s;
        }
}

KERNEL void multiply(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[0], *y = arena + table[1];
    int32_t *out = (int32_t *)(arena + table[6]);
    for (int32_t repeats = table[3]; repeats; repeats--)
        for (int32_t i = 0; i < table[2]; i++)
            *out++ = (*x++ - table[4]) * (y[i] - table[5]) + table[7];
}

KERNEL void add(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[0], *y = arena + table[1];
    const int32_t *a = (const int32_t *)(weights + table[4]), *b = (const int32_t *)(weights + table[5]);
    int32_t *out = (int32_t *)(arena + table[6]);
    for (int32_t repeats = table[3]; repeats; repeats--)
        for (int32_t i = 0; i < table[2]; i++)
            *out++ = a[*x++] + b[y[i]];
}

// a * multiplier / 2^31 rounded half up, by products of 16 bits: qemu's Xtensa cores have no MULSH.
static inline int32_t high_product(int32_t a, int32_t multiplier)
{
    int32_t a1 = a >> 15, a0 = a & 0x7FFF, m1 = multiplier >> 16, m0 = multiplier & 0xFFFF;
    int32_t u = a1 * m0, v = a0 * m1;
    int32_t low = (u & 0xFFFF) + ((v & 0x7FFF) << 1) + (a0 * m0 >> 15) + 0x8000;
    return a1 * m1 + (u >> 16) + (v >> 15) + (low >> 16);
}

KERNEL void requantise(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const int32_t *acc = (const int32_t *)(arena + table[0]), *multipliers = (const int32_t *)(weights + table[3]);
    const uint8_t *shifts = weights + table[4];
    uint8_t *out = arena + table[5];
    for (int32_t windows = table[1]; windows; windows--)
        for (int32_t i = 0; i < table[2]; i++) {
            int32_t e = shifts[i], left = e > 31 ? e - 32 : 0, right = e > 31 ? 0 : e;
            int32_t r = high_product((*acc++ - table[9]) << left, multipliers[i]);
            if (right)
                r = (r - (r < 0) + (1 << (right - 1))) >> right;
            r += table[6];
            *out++ = (uint8_t)(r < table[7] ? table[7] : r > table[8] ? table[8] : r);
        }
}

KERNEL void lookup(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[0], *values = weights + table[3];
    uint8_t *y = arena + table[1];
    for (int32_t i = 0; i < table[2]; i++)
        y[i] = values[x[i]];
}
