// Instructions that ESP32 and ESP32-S3 have and that the compiler does not think of.
// Source: ESP-IDF, components/xtensa/{esp32,esp32s3}/include/xtensa/config/core-isa.h: XCHAL_HAVE_ABS, _CLAMPS, _LOOPS,
// _MAC16, _MUL16, _NSA are 1 on both.

#ifdef __xtensa__
#define ONE(name, instruction)                   \
    static inline int32_t name(int32_t x)        \
    {                                            \
        int32_t y;                               \
        __asm__(instruction : "=r"(y) : "r"(x)); \
        return y;                                \
    }
ONE(low16, "extui %0, %1, 0, 16")
ONE(magnitude, "abs %0, %1")
ONE(saturated, "clamps %0, %1, 15")
ONE(leading_zeros, "nsau %0, %1") // 32 for 0
#undef ONE

static inline void shift_left(uint32_t *high, uint32_t *low, int32_t bits)
{
    __asm__("ssl %2\n src %0, %0, %1\n sll %1, %1" : "+r"(*high), "+r"(*low) : "r"(bits));
}
#else
static inline int32_t low16(int32_t x)
{
    return x & 0xFFFF;
}

static inline int32_t magnitude(int32_t x)
{
    return x < 0 ? -x : x;
}

static inline int32_t saturated(int32_t x)
{
    return x < -32768 ? -32768 : x > 32767 ? 32767 : x;
}

static inline int32_t leading_zeros(int32_t x)
{
    return x ? __builtin_clz((uint32_t)x) : 32;
}

static inline void shift_left(uint32_t *high, uint32_t *low, int32_t bits)
{
    *high = bits ? *high << bits | *low >> (32 - bits) : *high;
    *low <<= bits;
}
#endif
