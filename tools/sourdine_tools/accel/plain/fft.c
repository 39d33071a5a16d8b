// fft.py's steps of the 512-point transform, whose docstrings say what they compute.

#include "viper.h"

// kissfft's product of two Q15 numbers, rounded half up.
#define ROUNDED(x) (((x) + 0x4000) >> 15)
#define QUARTER(cell) (ROUNDED((cell) * 8191))
#define HALF(cell) (ROUNDED((cell) * 16383))

KERNEL int32_t scatter(const uint16_t *x, uint16_t *out, const uint8_t *order, int32_t largest)
{
    int32_t shift = 15;
    while (largest) {
        largest >>= 1;
        shift--;
    }
    for (int i = 0; i < 64; i++, out += 8) {
        const uint16_t *p = x + 2 * order[i];
        int32_t v[8];
        for (int k = 0; k < 8; k++)
            v[k] = QUARTER((int16_t)(p[128 * (k >> 1) + (k & 1)] << shift));
        for (int k = 0; k < 2; k++) {
            int32_t sum = v[k] + v[4 + k], other = v[2 + k] + v[6 + k];
            out[k] = (uint16_t)(sum + other + 0x8000);
            out[4 + k] = (uint16_t)(sum - other + 0x8000);
        }
        int32_t ar = v[0] - v[4], ai = v[1] - v[5], br = v[2] - v[6], bi = v[3] - v[7];
        out[2] = (uint16_t)(ar + bi + 0x8000);
        out[3] = (uint16_t)(ai - br + 0x8000);
        out[6] = (uint16_t)(ar - bi + 0x8000);
        out[7] = (uint16_t)(ai + br + 0x8000);
    }
    return shift;
}

static inline __attribute__((always_inline)) void stage(uint16_t *cells, const uint16_t *factors, int32_t m)
{
    for (int32_t k = 0; k < m; k++, cells += 2, factors += 6) {
        int32_t w[6];
        for (int i = 0; i < 6; i++)
            w[i] = factors[i] - 0x8000;
        for (int32_t start = 0; start < 512; start += 8 * m) {
            uint16_t *p = cells + start;
            int32_t re[4], im[4];
            re[0] = QUARTER(p[0]) + 24577; // back to v + 32768
            im[0] = QUARTER(p[1]) + 24577;
            for (int i = 1; i < 4; i++) {
                int32_t x = QUARTER(p[2 * m * i]) - 8191, y = QUARTER(p[2 * m * i + 1]) - 8191;
                re[i] = ROUNDED(x * w[2 * i - 2] - y * w[2 * i - 1]);
                im[i] = ROUNDED(x * w[2 * i - 1] + y * w[2 * i - 2]);
            }
            int32_t ar = re[0] - re[2], ai = im[0] - im[2], cr = re[0] + re[2], ci = im[0] + im[2];
            int32_t br = re[1] - re[3], bi = im[1] - im[3], dr = re[1] + re[3], di = im[1] + im[3];
            p[0] = (uint16_t)(cr + dr);
            p[1] = (uint16_t)(ci + di);
            p[2 * m] = (uint16_t)(ar + bi);
            p[2 * m + 1] = (uint16_t)(ai - br);
            p[4 * m] = (uint16_t)(cr - dr);
            p[4 * m + 1] = (uint16_t)(ci - di);
            p[6 * m] = (uint16_t)(ar - bi);
            p[6 * m + 1] = (uint16_t)(ai + br);
        }
    }
}

KERNEL void stage4(uint16_t *cells, const uint16_t *factors) { stage(cells, factors, 4); }
KERNEL void stage16(uint16_t *cells, const uint16_t *factors) { stage(cells, factors, 16); }
KERNEL void stage64(uint16_t *cells, const uint16_t *factors) { stage(cells, factors, 64); }

KERNEL void spectrum(const uint16_t *cells, const uint16_t *factors, uint32_t *out)
{
    uint32_t *high = out + 246; // bin 251
    const uint16_t *p = cells + 10, *q = cells + 502;
    for (; p <= q; p += 2, q -= 2, factors += 2) {
        int32_t ar = HALF(p[0]), ai = HALF(p[1]), br = HALF(q[0]), bi = HALF((65536 - q[1]) & 0xFFFF);
        int32_t x = ar - br, y = ai - bi, c = -factors[0], s = -factors[1];
        ar += br - 32766;
        ai += bi - 32766;
        int32_t tr = (int16_t)ROUNDED(x * c - y * s), ti = (int16_t)ROUNDED(x * s + y * c);
        x = (ar + tr) >> 1;
        y = (ai + ti) >> 1;
        *out++ = (uint32_t)(x * x + y * y);
        x = (ar - tr) >> 1;
        y = (ti - ai) >> 1;
        *high-- = (uint32_t)(x * x + y * y);
    }
}
