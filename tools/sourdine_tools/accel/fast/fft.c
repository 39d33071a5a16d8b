// The transform by hand: butterflies in registers, factors as pairs of 16 bits in the MAC16 unit's own four.

#ifndef __xtensa__
#include "plain/fft.c"
#else

#include "viper.h"
#include "fast/xtensa.h"

// A cell u = v + 32768 as a quarter of v, plus a bias that passes through the shift.
#define QUARTERS(bias) (0x4000 + ((bias) - 8191) * 0x8000)

// Names of the operands below. Of a butterfly of a, b, c, d, V0 and V1 hold what is read, V2 to V7 what became of it.
#define P "%0"
#define Q "%1"
#define V0 "%2"
#define V1 "%3"
#define V2 "%4"
#define V3 "%5"
#define V4 "%6"
#define V5 "%7"
#define V6 "%8"
#define V7 "%9"
#define K1 "%10" // 8191
#define K2 "%11" // makes quarters of no bias
#define K3 "%12" // makes quarters that are cells again, or counts

#define LINE(instruction, operands) instruction " " operands "\n"
#define SCALE(x, constant) \
    LINE("mull", x ", " x ", " K1) LINE("add.n", x ", " x ", " constant) LINE("srai", x ", " x ", 15")
#define ROUND(x) LINE("addmi", x ", " x ", 0x4000") LINE("srai", x ", " x ", 15")
// re, im = V0 + i V1 times a factor of m0 or m1, or of m2 or m3.
#define TIMES_LOW(m, re, im)                                                             \
    LINE("mul.da.ll", m ", " V0) LINE("muls.da.hl", m ", " V1) LINE("rsr", re ", acclo") \
    LINE("mul.da.hl", m ", " V0) LINE("mula.da.ll", m ", " V1) LINE("rsr", im ", acclo") ROUND(re) ROUND(im)
#define TIMES_HIGH(m, re, im)                                                            \
    LINE("mul.ad.ll", V0 ", " m) LINE("muls.ad.lh", V1 ", " m) LINE("rsr", re ", acclo") \
    LINE("mul.ad.lh", V0 ", " m) LINE("mula.ad.ll", V1 ", " m) LINE("rsr", im ", acclo") ROUND(re) ROUND(im)
#define ADD(z, x, y) LINE("add.n", z ", " x ", " y)
#define SUB(z, x, y) LINE("sub", z ", " x ", " y)
#define LOAD(x, p, at) LINE("l16ui", x ", " p ", " at)
#define STORE(x, p, at) LINE("s16i", x ", " p ", " at)

// Four elements at P, P + quarter, Q, Q + quarter. `finish` makes V0 a biased quarter of a.
#define BUTTERFLY(quarter, finish)                                                                     \
    LOAD(V0, P, quarter) LOAD(V1, P, quarter "+2") SCALE(V0, K2) SCALE(V1, K2) TIMES_LOW("m0", V2, V3) \
    LOAD(V0, Q, quarter) LOAD(V1, Q, quarter "+2") SCALE(V0, K2) SCALE(V1, K2) TIMES_LOW("m1", V4, V5) \
    ADD(V6, V2, V4) SUB(V2, V2, V4) ADD(V7, V3, V5) SUB(V3, V3, V5)                                    \
    LOAD(V0, Q, "0") LOAD(V1, Q, "2") SCALE(V0, K2) SCALE(V1, K2) TIMES_HIGH("m2", V4, V5)             \
    COMBINE(quarter, finish)

// With b + d in V6 and V7, b - d in V2 and V3, and c in V4 and V5.
#define COMBINE(quarter, finish)                                                \
    LOAD(V0, P, "0") finish                                                     \
    SUB(V1, V0, V4) ADD(V0, V0, V4) ADD(V4, V0, V6) SUB(V0, V0, V6)             \
    STORE(V4, P, "0") STORE(V0, Q, "0")                                         \
    ADD(V4, V1, V3) SUB(V1, V1, V3) STORE(V4, P, quarter) STORE(V1, Q, quarter) \
    LOAD(V0, P, "2") finish                                                     \
    SUB(V1, V0, V5) ADD(V0, V0, V5) ADD(V4, V0, V7) SUB(V0, V0, V7)             \
    STORE(V4, P, "2") STORE(V0, Q, "2")                                         \
    SUB(V4, V1, V2) ADD(V1, V1, V2) STORE(V4, P, quarter "+2") STORE(V1, Q, quarter "+2")

#define VALUES "=&r"(v0), "=&r"(v1), "=&r"(v2), "=&r"(v3), "=&r"(v4), "=&r"(v5), "=&r"(v6)

// All butterflies of one place in a quarter, by the factors in m0, m2 and m1.
#define PLACE(quarter, advance)                                                                  \
    __asm__ volatile(LINE("loopnez", V7 ", 1f") BUTTERFLY(quarter, SCALE(V0, K3)) advance "1:\n" \
                     : "+r"(p), "+r"(q), VALUES, "+r"(n)                                         \
                     : "r"(8191), "r"(QUARTERS(0)), "r"(QUARTERS(0x8000))                        \
                     : "memory")

static inline void use(uint32_t u, uint32_t v, uint32_t w)
{
    __asm__ volatile("wsr %0, m0\n wsr %1, m2\n wsr %2, m1" : : "r"(u), "r"(v), "r"(w));
}

static inline uint32_t pair(int32_t re, int32_t im)
{
    return (uint32_t)im << 16 | (uint32_t)(re & 0xFFFF);
}

static inline __attribute__((always_inline)) void place_4(uint16_t *p, uint32_t u, uint32_t v, uint32_t w)
{
    int32_t v0, v1, v2, v3, v4, v5, v6, n = 16;
    uint16_t *q = p + 16;
    use(u, v, w);
    PLACE("16", LINE("addi", P ", " P ", 64") LINE("addi", Q ", " Q ", 64"));
}

// The factors are few, and written out.
KERNEL void stage4(uint16_t *cells, const uint16_t *factors)
{
    int32_t v0, v1, v2, v3, v4, v5, v6, n = 16;
    uint16_t *p = cells, *q = cells + 16;
    __asm__ volatile(LINE("loopnez", V7 ", 1f") // all factors are 1
                     LOAD(V2, P, "16") LOAD(V3, P, "18") LOAD(V4, Q, "16") LOAD(V5, Q, "18")
                     SCALE(V2, K2) SCALE(V3, K2) SCALE(V4, K2) SCALE(V5, K2)
                     ADD(V6, V2, V4) SUB(V2, V2, V4) ADD(V7, V3, V5) SUB(V3, V3, V5)
                     LOAD(V4, Q, "0") LOAD(V5, Q, "2") SCALE(V4, K2) SCALE(V5, K2) COMBINE("16", SCALE(V0, K3))
                     LINE("addi", P ", " P ", 64") LINE("addi", Q ", " Q ", 64")
                     "1:\n"
                     : "+r"(p), "+r"(q), VALUES, "+r"(n)
                     : "r"(8191), "r"(QUARTERS(0)), "r"(QUARTERS(0x8000))
                     : "memory");
    place_4(cells + 2, pair(30273, -12539), pair(23170, -23170), pair(12539, -30273));
    place_4(cells + 4, pair(23170, -23170), pair(0, -32767), pair(-23170, -23170));
    place_4(cells + 6, pair(12539, -30273), pair(-23170, -23170), pair(-30273, 12539));
}

static inline uint32_t factor(const uint16_t *cells)
{
    return ((uint32_t)cells[1] << 16 | cells[0]) ^ 0x80008000;
}

KERNEL void stage16(uint16_t *cells, const uint16_t *factors)
{
    for (int32_t k = 16; k; k--, cells += 2, factors += 6) {
        int32_t v0, v1, v2, v3, v4, v5, v6, n = 4;
        uint16_t *p = cells, *q = cells + 64;
        use(factor(factors), factor(factors + 2), factor(factors + 4));
        PLACE("64", LINE("addmi", P ", " P ", 256") LINE("addmi", Q ", " Q ", 256"));
    }
}

// Factors two to a word, which needs them at a multiple of four; elsewhere each place is a loop of one.
KERNEL void stage64(uint16_t *cells, const uint16_t *factors)
{
    int32_t v0, v1, v2, v3, v4, v5, v6, n = 64;
    uint16_t *p = cells, *q = cells + 256;
    if ((word)factors & 3) {
        for (int32_t k = 64; k; k--, factors += 6) {
            n = 1;
            use(factor(factors), factor(factors + 2), factor(factors + 4));
            PLACE("256", LINE("addi", P ", " P ", 4") LINE("addi", Q ", " Q ", 4"));
        }
        return;
    }
    int32_t v7, quarter = 8191, unbiased = QUARTERS(0);
    __asm__ volatile("wsr %0, m3" : : "r"(factors));
    __asm__ volatile(
        "1:\n"
        LINE("rsr", V0 ", m3") LINE("movi", V7 ", 1") LINE("l32i", V1 ", " V0 ", 0") LINE("l32i", V2 ", " V0 ", 4")
        LINE("l32i", V3 ", " V0 ", 8") LINE("addi", V0 ", " V0 ", 12") LINE("wsr", V0 ", m3")
        LINE("slli", V4 ", " V7 ", 31") LINE("slli", V7 ", " V7 ", 15") ADD(V7, V7, V4)
        LINE("xor", V1 ", " V1 ", " V7) LINE("xor", V2 ", " V2 ", " V7) LINE("xor", V3 ", " V3 ", " V7)
        LINE("wsr", V1 ", m0") LINE("wsr", V2 ", m2") LINE("wsr", V3 ", m1")
        BUTTERFLY("256", SCALE(V0, K2) LINE("addmi", V0 ", " V0 ", -0x8000"))
        LINE("addi", P ", " P ", 4") LINE("addi", Q ", " Q ", 4")
        LINE("addi", K3 ", " K3 ", -1") LINE("bnez", K3 ", 1b")
        : "+r"(p), "+r"(q), VALUES, "=&r"(v7), "+r"(quarter), "+r"(unbiased), "+r"(n)
        :
        : "memory");
}

// A sample, shifted as far as all can be, as a quarter: MUL16S takes the low 16 bits as a signed number.
#define SHIFTED(x, round) LINE("sll", x ", " x) LINE("mul16s", x ", " x ", %11") round LINE("srai", x ", " x ", 15")
#define PLAIN(x) SHIFTED(x, LINE("addmi", x ", " x ", 0x4000"))
#define CELL(x) SHIFTED(x, LINE("add.n", x ", " x ", %12"))

KERNEL int32_t scatter(const uint16_t *x, uint16_t *out, const uint8_t *order, int32_t largest)
{
    int32_t shift = leading_zeros(largest) - 17, v0, v1, v2, v3, v4, v5, v6, n = 64;
    const uint16_t *p = x;
    __asm__ volatile("wsr %0, m0\n ssl %1" : : "r"(x), "r"(shift));
    // %0 p, %1 out, %2 order; a in V1 V2, b in V3 V4, c in V5 V6, d in V7 V0 (of stage's names, one further)
    __asm__ volatile(
        LINE("loopnez", "%10, 1f")
        LINE("l8ui", "%0, %2, 0") LINE("rsr", "%10, m0") LINE("addi", "%2, %2, 1") LINE("addx4", "%0, %0, %10")
        LOAD("%3", "%0", "0") LOAD("%5", "%0", "256") CELL("%3") PLAIN("%5")
        LOAD("%4", "%0", "2") LOAD("%6", "%0", "258") CELL("%4") PLAIN("%6")
        LINE("addmi", "%0, %0, 512")
        LOAD("%7", "%0", "0") LOAD("%9", "%0", "256") PLAIN("%7") PLAIN("%9")
        LOAD("%8", "%0", "2") LOAD("%10", "%0", "258") PLAIN("%8") PLAIN("%10")
        // sums and differences of a and c, of b and d
        ADD("%0", "%3", "%7") SUB("%3", "%3", "%7") ADD("%7", "%4", "%8") SUB("%4", "%4", "%8")
        ADD("%8", "%5", "%9") SUB("%5", "%5", "%9") ADD("%9", "%6", "%10") SUB("%6", "%6", "%10")
        ADD("%10", "%0", "%8") SUB("%0", "%0", "%8") STORE("%10", "%1", "0") STORE("%0", "%1", "8")
        ADD("%10", "%7", "%9") SUB("%7", "%7", "%9") STORE("%10", "%1", "2") STORE("%7", "%1", "10")
        ADD("%10", "%3", "%6") SUB("%3", "%3", "%6") STORE("%10", "%1", "4") STORE("%3", "%1", "12")
        SUB("%10", "%4", "%5") ADD("%4", "%4", "%5") STORE("%10", "%1", "6") STORE("%4", "%1", "14")
        LINE("addi", "%1, %1, 16")
        "1:\n"
        : "+r"(p), "+r"(out), "+r"(order), VALUES, "+r"(n)
        : "r"(8191), "r"(0x40004000)
        : "memory");
    return shift;
}

// (v + 0x4000) >> 15 in 16 bits is (2 v + 0x8000) >> 16 in 32.
#define HALF(x, multiply) LINE(multiply, x ", " x ", %10") LINE("add.n", x ", " x ", %11") LINE("srai", x ", " x ", 15")
#define ROUND_16(x) LINE("addx2", x ", " x ", %12") LINE("srai", x ", " x ", 16")
#define SQUARE(x) LINE("srai", x ", " x ", 1") LINE("mull", x ", " x ", " x)

KERNEL void spectrum(const uint16_t *cells, const uint16_t *factors, uint32_t *out)
{
    const uint16_t *p = cells + 10, *q = cells + 502;
    int32_t v0, v1, v2, v3, v4, v5, v6, n = 124;
    // All pointers step by 4, up or down, so that two will do.
    __asm__ volatile("wsr %0, m0\n wsr %1, m1\n wsr %2, m2"
                     :
                     : "r"((word)factors - (word)p), "r"((word)out - (word)p), "r"((word)(out + 246) - (word)q));
    __asm__ volatile(
        LINE("loopnez", V7 ", 1f")
        LOAD(V0, P, "0") LOAD(V1, Q, "0") HALF(V0, "mull") HALF(V1, "mull")
        LOAD(V3, Q, "2") LOAD(V2, P, "2") LINE("neg", V3 ", " V3) HALF(V2, "mull") HALF(V3, "mul16u") // the conjugate
        SUB(V4, V1, V0) ADD(V0, V0, V1) SUB(V5, V2, V3) ADD(V2, V2, V3)
        LINE("rsr", V6 ", m0") ADD(V6, V6, P) LOAD(V7, V6, "2") LOAD(V6, V6, "0")
        LINE("mull", V1 ", " V4 ", " V6) LINE("mull", V3 ", " V5 ", " V7) LINE("mull", V4 ", " V4 ", " V7)
        LINE("mull", V5 ", " V5 ", " V6) ADD(V1, V1, V3) SUB(V4, V4, V5) ROUND_16(V1) ROUND_16(V4)
        ADD(V3, V0, V1) ADD(V5, V2, V4) SUB(V0, V0, V1) SUB(V4, V4, V2)
        SQUARE(V3) SQUARE(V5) SQUARE(V0) SQUARE(V4)
        LINE("rsr", V6 ", m1") LINE("rsr", V7 ", m2") ADD(V3, V3, V5) ADD(V0, V0, V4) ADD(V6, V6, P) ADD(V7, V7, Q)
        LINE("s32i", V3 ", " V6 ", 0") LINE("s32i", V0 ", " V7 ", 0")
        LINE("addi", P ", " P ", 4") LINE("addi", Q ", " Q ", -4")
        "1:\n"
        : "+r"(p), "+r"(q), VALUES, "+r"(n)
        : "r"(16383), "r"(0x4000 - 16383 * 0x8000), "r"(0x8000)
        : "memory");
}
#endif
