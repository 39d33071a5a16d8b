// int8.py's loops of the net, whose docstrings say what they compute and what their tables hold.

#include "viper.h"

#define LIFT (1 << 29)

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
            int32_t i = 0;
            if ((((word)source | (word)target) & 3) == 0)
                for (; i + 4 <= table[4]; i += 4)
                    *(uint32_t *)(target + i) = *(const uint32_t *)(source + i);
            for (; i < table[4]; i++)
                target[i] = source[i];
            source += table[1];
            target += table[3];
        }
    }
}

// Offsets in the tables of the kernels that accumulate.
enum { X, STEP, WINDOWS, N, M, W, BIAS, ACC, ACC_STEP, ROW };

KERNEL void dense(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[X];
    uint8_t *acc = arena + table[ACC];
    int32_t n = table[N];
    for (int32_t windows = table[WINDOWS]; windows; windows--, x += table[STEP], acc += table[ACC_STEP]) {
        const uint8_t *w = weights + table[W];
        const int32_t *bias = (const int32_t *)(weights + table[BIAS]);
        int32_t *out = (int32_t *)acc, sum = 0;
        for (int32_t k = 0; k < n; k++)
            sum += x[k];
        for (int32_t blocks = table[M]; blocks; blocks--, w += 16 * ((n + 7) & ~7))
            for (int32_t i = 0; i < 16; i++) {
                int32_t s = *bias++ - 128 * sum;
                for (int32_t k = 0; k < n; k++)
                    s += x[k] * w[16 * k + i];
                *out++ = s;
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
            int32_t s = bias[i];
            for (int32_t k = 0; k < table[N]; k++)
                s += x[k] * (*w++ - 128);
            ((int32_t *)acc)[i] = s;
        }
    }
}

KERNEL void depthwise(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[X], *w = weights + table[W];
    uint8_t *acc = arena + table[ACC];
    const int32_t *bias = (const int32_t *)(weights + table[BIAS]);
    int32_t row = table[ROW], channels = table[M] < 32 ? 32 : table[M]; // as many as the viper kernel's lanes
    for (int32_t windows = table[WINDOWS]; windows; windows--, x += table[STEP], acc += table[ACC_STEP])
        for (int32_t i = 0; i < channels; i++) {
            int32_t s = bias[i];
            for (int32_t k = 0; k < table[N]; k++)
                s += x[k * row + i] * (w[k * row + i] - 128);
            ((int32_t *)acc)[i] = s;
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

// What rounding to Q31 and then to places does, as TFLM does it.
static inline int32_t scaled(int32_t a, int32_t multiplier, int32_t shift)
{
    int32_t left = shift > 31 ? shift - 32 : 0, right = shift > 31 ? 0 : shift;
    int32_t r = high_product(a << left, multiplier);
    return right ? (r - (r < 0) + (1 << (right - 1))) >> right : r;
}

KERNEL void requantise(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *acc = arena + table[0], *shifts = weights + table[8];
    const int32_t *multipliers = (const int32_t *)(weights + table[7]);
    uint8_t *out = arena + table[4];
    for (int32_t windows = table[1]; windows; windows--, acc += table[3], out += table[5])
        for (int32_t i = 0; i < table[2]; i++) {
            int32_t y = scaled(((const int32_t *)acc)[i] - LIFT, multipliers[i], shifts[i]) + table[13];
            out[i] = (uint8_t)(y < 0 ? 0 : y > 255 ? 255 : y);
        }
}

KERNEL void lookup(uint8_t *arena, const uint8_t *weights, const int32_t *table)
{
    const uint8_t *x = arena + table[0], *values = weights + table[3];
    uint8_t *y = arena + table[1];
    for (int32_t i = 0; i < table[2]; i++)
        y[i] = values[x[i]];
}
