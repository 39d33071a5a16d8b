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
