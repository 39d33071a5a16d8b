"""The net's inner loops in viper: exact in 32 bits, no allocation, all with one signature.

    kernel(arena, weights, table)
      arena    bytes: every tensor, state and accumulator of the model
      weights  bytes: the call's constants, packed when the model was loaded; only pack() writes there
      table    int32, none negative: byte offsets into the two, counts and sizes, listed per kernel

A plan is a list of such calls. The kernels trust their tables: plan.py checks every offset and size.

An int8 quantity is held as its value + 128, unsigned, activations and weights alike, so that no load needs a
sign. An int32 accumulator is held as its value + LIFT, for the same reason: the desktop's 64-bit viper reads
32 bits without a sign. Accumulators stay within +-LIFT; layers.py refuses a layer that could leave it.

How they are written follows from the compiler: only a kernel's first two locals, its first two arguments, live
in registers, and each keeps its type. So the hottest two values take the places of `arena` and `weights`, and
a number there is read as int(v). Everything else costs a load or two stores; a right operand that is one load,
and a left one that was just computed, cost nothing more.

Source: TFLM's reference kernels (what they compute); the sum over (x + 128) * (w + 128) and its correction
are the identity sum(x * w) = sum((x + 128) * (w + 128)) - 128 * sum(x + 128) - 128 * sum(w).
"""
# fmt: off

from sourdine import native
from sourdine.native import micropython, ptr8, ptr16, ptr32

LIFT = 1 << 29  # written out in requantise(), where a name would cost a look-up
TAPS_MAX = 1 << 14  # products per output: 2**14 * 255 * 128 < LIFT
BLOCK = 16  # outputs that dense() sums at once
LANES = 32  # channels that depthwise() sums at once
GROUP = 8  # inputs that dense() takes at once
SLACK = LANES - 1  # bytes that dense() and depthwise() may read behind their inputs; they do not count


@micropython.viper
def take(y: ptr8, x: ptr8, table: ptr32):
    """Features into the arena: int8 to value + 128. table: target, count."""
    y = ptr8(int(y) + table[0])
    end = int(x) + table[1]
    last = end - 7
    while int(x) < last:
        y[0] = x[0] ^ 0x80; y[1] = x[1] ^ 0x80; y[2] = x[2] ^ 0x80; y[3] = x[3] ^ 0x80
        y[4] = x[4] ^ 0x80; y[5] = x[5] ^ 0x80; y[6] = x[6] ^ 0x80; y[7] = x[7] ^ 0x80
        x = ptr8(int(x) + 8)
        y = ptr8(int(y) + 8)
    while int(x) < end:
        y[0] = x[0] ^ 0x80
        x = ptr8(int(x) + 1)
        y = ptr8(int(y) + 1)


@micropython.viper
def fill(y: ptr8, v: ptr8, table: ptr32):
    """Runs of one value. table: number of runs, then for each: target, size > 0, value."""
    arena = int(y)
    runs = table[0]
    while runs > 0:
        y = ptr8(arena + table[1])
        end = int(y) + table[2]
        v = ptr8(table[3])
        last = end - 7
        while int(y) < last:
            y[0] = int(v); y[1] = int(v); y[2] = int(v); y[3] = int(v)
            y[4] = int(v); y[5] = int(v); y[6] = int(v); y[7] = int(v)
            y = ptr8(int(y) + 8)
        while int(y) < end:
            y[0] = int(v)
            y = ptr8(int(y) + 1)
        table = ptr32(int(table) + 12)
        runs -= 1


@micropython.viper
def move(x: ptr8, y: ptr8, table: ptr32):
    """Copies within the arena, in order; source and target of one copy do not overlap.

    table: number of copies, then for each: source, its step, target, its step, size, count. `count` runs of
    `size` bytes, each `step` further on; all > 0. Goes by words where every run starts at multiples of four.
    """
    arena = int(x)
    copies = table[0]
    while copies > 0:
        x = ptr8(arena + table[1])
        y = ptr8(arena + table[3])
        size = table[5]
        count = table[6]
        bits = int(x) | int(y)
        if count > 1:
            bits |= table[2] | table[4]
        while True:
            end = int(x) + size
            if not bits & 3:
                last = end - 63
                while int(x) < last:
                    ptr32(y)[0] = ptr32(x)[0]; ptr32(y)[1] = ptr32(x)[1]; ptr32(y)[2] = ptr32(x)[2]; ptr32(y)[3] = ptr32(x)[3]
                    ptr32(y)[4] = ptr32(x)[4]; ptr32(y)[5] = ptr32(x)[5]; ptr32(y)[6] = ptr32(x)[6]; ptr32(y)[7] = ptr32(x)[7]
                    ptr32(y)[8] = ptr32(x)[8]; ptr32(y)[9] = ptr32(x)[9]; ptr32(y)[10] = ptr32(x)[10]; ptr32(y)[11] = ptr32(x)[11]
                    ptr32(y)[12] = ptr32(x)[12]; ptr32(y)[13] = ptr32(x)[13]; ptr32(y)[14] = ptr32(x)[14]; ptr32(y)[15] = ptr32(x)[15]
                    x = ptr8(int(x) + 64)
                    y = ptr8(int(y) + 64)
                last = end - 15
                while int(x) < last:
                    ptr32(y)[0] = ptr32(x)[0]; ptr32(y)[1] = ptr32(x)[1]; ptr32(y)[2] = ptr32(x)[2]; ptr32(y)[3] = ptr32(x)[3]
                    x = ptr8(int(x) + 16)
                    y = ptr8(int(y) + 16)
                last = end - 3
                while int(x) < last:
                    ptr32(y)[0] = ptr32(x)[0]
                    x = ptr8(int(x) + 4)
                    y = ptr8(int(y) + 4)
            else:
                last = end - 7
                while int(x) < last:
                    y[0] = x[0]; y[1] = x[1]; y[2] = x[2]; y[3] = x[3]; y[4] = x[4]; y[5] = x[5]; y[6] = x[6]; y[7] = x[7]
                    x = ptr8(int(x) + 8)
                    y = ptr8(int(y) + 8)
            while int(x) < end:
                y[0] = x[0]
                x = ptr8(int(x) + 1)
                y = ptr8(int(y) + 1)
            count -= 1
            if count == 0:
                break
            x = ptr8(int(x) + table[2] - size)
            y = ptr8(int(y) + table[4] - size)
        table = ptr32(int(table) + 24)
        copies -= 1


@micropython.viper
def dense(v: ptr8, w: ptr8, table: ptr32):
    """Accumulators of a dense layer or of a convolution whose windows are contiguous, 16 outputs at a time.

    table: windows, step between them, number of windows, n bytes of a window (<= TAPS_MAX), blocks of 16 outputs,
    w (per block n rows of 16, and rows of 0 up to a multiple of 8), bias (16 lifted int32 per block), accumulators
    (as many, lifted), step between windows' accumulators.

    Each input v meets its 16 weights at once, and an input of 0 meets none. Up to 7 bytes behind a window are read:
    whatever they are, they meet a weight of 0, and they are not in sum(x + 128). 32 bits: see TAPS_MAX; bias and
    128 * sum(x + 128) are < 2 * LIFT, and so is 2**14 * 255 * 255, so all stays within +-2**31.
    """
    start = int(v) + table[0]
    windows = table[2]
    row = (table[3] + 7) >> 3 << 7
    out = int(v) + table[7]
    rows = int(w) + table[5]
    biases = int(w) + table[6]
    while windows > 0:
        end = start + table[3]
        last = end - 7
        total = 0
        v = ptr8(start)
        while int(v) < last:
            total = v[0] + v[1] + v[2] + v[3] + v[4] + v[5] + v[6] + v[7] + total
            v = ptr8(int(v) + 8)
        while int(v) < end:
            total = v[0] + total
            v = ptr8(int(v) + 1)
        total <<= 7
        first = rows
        bias = biases
        target = out
        blocks = table[4]
        while blocks > 0:
            v = ptr8(total)
            w = ptr8(bias)
            s0 = ptr32(w)[0] - int(v); s1 = ptr32(w)[1] - int(v); s2 = ptr32(w)[2] - int(v); s3 = ptr32(w)[3] - int(v)
            s4 = ptr32(w)[4] - int(v); s5 = ptr32(w)[5] - int(v); s6 = ptr32(w)[6] - int(v); s7 = ptr32(w)[7] - int(v)
            s8 = ptr32(w)[8] - int(v); s9 = ptr32(w)[9] - int(v); s10 = ptr32(w)[10] - int(v); s11 = ptr32(w)[11] - int(v)
            s12 = ptr32(w)[12] - int(v); s13 = ptr32(w)[13] - int(v); s14 = ptr32(w)[14] - int(v); s15 = ptr32(w)[15] - int(v)
            x = ptr8(start)
            w = ptr8(first)
            first += row
            while int(w) < first:
                v = ptr8(x[0])
                if int(v):
                    s0 = w[0] * int(v) + s0; s1 = w[1] * int(v) + s1; s2 = w[2] * int(v) + s2; s3 = w[3] * int(v) + s3
                    s4 = w[4] * int(v) + s4; s5 = w[5] * int(v) + s5; s6 = w[6] * int(v) + s6; s7 = w[7] * int(v) + s7
                    s8 = w[8] * int(v) + s8; s9 = w[9] * int(v) + s9; s10 = w[10] * int(v) + s10; s11 = w[11] * int(v) + s11
                    s12 = w[12] * int(v) + s12; s13 = w[13] * int(v) + s13; s14 = w[14] * int(v) + s14; s15 = w[15] * int(v) + s15
                v = ptr8(x[1])
                if int(v):
                    s0 = w[16] * int(v) + s0; s1 = w[17] * int(v) + s1; s2 = w[18] * int(v) + s2; s3 = w[19] * int(v) + s3
                    s4 = w[20] * int(v) + s4; s5 = w[21] * int(v) + s5; s6 = w[22] * int(v) + s6; s7 = w[23] * int(v) + s7
                    s8 = w[24] * int(v) + s8; s9 = w[25] * int(v) + s9; s10 = w[26] * int(v) + s10; s11 = w[27] * int(v) + s11
                    s12 = w[28] * int(v) + s12; s13 = w[29] * int(v) + s13; s14 = w[30] * int(v) + s14; s15 = w[31] * int(v) + s15
                v = ptr8(x[2])
                if int(v):
                    s0 = w[32] * int(v) + s0; s1 = w[33] * int(v) + s1; s2 = w[34] * int(v) + s2; s3 = w[35] * int(v) + s3
                    s4 = w[36] * int(v) + s4; s5 = w[37] * int(v) + s5; s6 = w[38] * int(v) + s6; s7 = w[39] * int(v) + s7
                    s8 = w[40] * int(v) + s8; s9 = w[41] * int(v) + s9; s10 = w[42] * int(v) + s10; s11 = w[43] * int(v) + s11
                    s12 = w[44] * int(v) + s12; s13 = w[45] * int(v) + s13; s14 = w[46] * int(v) + s14; s15 = w[47] * int(v) + s15
                v = ptr8(x[3])
                if int(v):
                    s0 = w[48] * int(v) + s0; s1 = w[49] * int(v) + s1; s2 = w[50] * int(v) + s2; s3 = w[51] * int(v) + s3
                    s4 = w[52] * int(v) + s4; s5 = w[53] * int(v) + s5; s6 = w[54] * int(v) + s6; s7 = w[55] * int(v) + s7
                    s8 = w[56] * int(v) + s8; s9 = w[57] * int(v) + s9; s10 = w[58] * int(v) + s10; s11 = w[59] * int(v) + s11
                    s12 = w[60] * int(v) + s12; s13 = w[61] * int(v) + s13; s14 = w[62] * int(v) + s14; s15 = w[63] * int(v) + s15
                v = ptr8(x[4])
                if int(v):
                    s0 = w[64] * int(v) + s0; s1 = w[65] * int(v) + s1; s2 = w[66] * int(v) + s2; s3 = w[67] * int(v) + s3
                    s4 = w[68] * int(v) + s4; s5 = w[69] * int(v) + s5; s6 = w[70] * int(v) + s6; s7 = w[71] * int(v) + s7
                    s8 = w[72] * int(v) + s8; s9 = w[73] * int(v) + s9; s10 = w[74] * int(v) + s10; s11 = w[75] * int(v) + s11
                    s12 = w[76] * int(v) + s12; s13 = w[77] * int(v) + s13; s14 = w[78] * int(v) + s14; s15 = w[79] * int(v) + s15
                v = ptr8(x[5])
                if int(v):
                    s0 = w[80] * int(v) + s0; s1 = w[81] * int(v) + s1; s2 = w[82] * int(v) + s2; s3 = w[83] * int(v) + s3
                    s4 = w[84] * int(v) + s4; s5 = w[85] * int(v) + s5; s6 = w[86] * int(v) + s6; s7 = w[87] * int(v) + s7
                    s8 = w[88] * int(v) + s8; s9 = w[89] * int(v) + s9; s10 = w[90] * int(v) + s10; s11 = w[91] * int(v) + s11
                    s12 = w[92] * int(v) + s12; s13 = w[93] * int(v) + s13; s14 = w[94] * int(v) + s14; s15 = w[95] * int(v) + s15
                v = ptr8(x[6])
                if int(v):
                    s0 = w[96] * int(v) + s0; s1 = w[97] * int(v) + s1; s2 = w[98] * int(v) + s2; s3 = w[99] * int(v) + s3
                    s4 = w[100] * int(v) + s4; s5 = w[101] * int(v) + s5; s6 = w[102] * int(v) + s6; s7 = w[103] * int(v) + s7
                    s8 = w[104] * int(v) + s8; s9 = w[105] * int(v) + s9; s10 = w[106] * int(v) + s10; s11 = w[107] * int(v) + s11
                    s12 = w[108] * int(v) + s12; s13 = w[109] * int(v) + s13; s14 = w[110] * int(v) + s14; s15 = w[111] * int(v) + s15
                v = ptr8(x[7])
                if int(v):
                    s0 = w[112] * int(v) + s0; s1 = w[113] * int(v) + s1; s2 = w[114] * int(v) + s2; s3 = w[115] * int(v) + s3
                    s4 = w[116] * int(v) + s4; s5 = w[117] * int(v) + s5; s6 = w[118] * int(v) + s6; s7 = w[119] * int(v) + s7
                    s8 = w[120] * int(v) + s8; s9 = w[121] * int(v) + s9; s10 = w[122] * int(v) + s10; s11 = w[123] * int(v) + s11
                    s12 = w[124] * int(v) + s12; s13 = w[125] * int(v) + s13; s14 = w[126] * int(v) + s14; s15 = w[127] * int(v) + s15
                x = ptr8(int(x) + 8)
                w = ptr8(int(w) + 128)
            w = ptr8(target)
            ptr32(w)[0] = s0; ptr32(w)[1] = s1; ptr32(w)[2] = s2; ptr32(w)[3] = s3
            ptr32(w)[4] = s4; ptr32(w)[5] = s5; ptr32(w)[6] = s6; ptr32(w)[7] = s7
            ptr32(w)[8] = s8; ptr32(w)[9] = s9; ptr32(w)[10] = s10; ptr32(w)[11] = s11
            ptr32(w)[12] = s12; ptr32(w)[13] = s13; ptr32(w)[14] = s14; ptr32(w)[15] = s15
            target += 64
            bias += 64
            blocks -= 1
        start += table[1]
        out += table[8]
        windows -= 1


@micropython.viper
def dot(x: ptr8, w: ptr8, table: ptr32):
    """What dense() does, output by output: for the few that fill no block.

    table: as in dense(), but n of any size, m outputs, and w m rows of n. A chain of sums takes its left side from
    a register, so it is one expression. 32 bits: see TAPS_MAX.
    """
    start = int(x) + table[0]
    windows = table[2]
    rows = int(w) + table[5]
    out = ptr32(int(x) + table[7])
    while windows > 0:
        end = start + table[3]
        last = end - 7
        target = out
        w = ptr8(rows)
        bias = ptr32(rows - table[5] + table[6])
        i = table[4]
        while i > 0:
            s = bias[0]
            x = ptr8(start)
            while int(x) < last:
                s = (w[0] - 128) * x[0] + (w[1] - 128) * x[1] + (w[2] - 128) * x[2] + (w[3] - 128) * x[3] \
                    + (w[4] - 128) * x[4] + (w[5] - 128) * x[5] + (w[6] - 128) * x[6] + (w[7] - 128) * x[7] + s
                x = ptr8(int(x) + 8)
                w = ptr8(int(w) + 8)
            while int(x) < end:
                s = (w[0] - 128) * x[0] + s
                x = ptr8(int(x) + 1)
                w = ptr8(int(w) + 1)
            target[0] = s
            target = ptr32(int(target) + 4)
            bias = ptr32(int(bias) + 4)
            i -= 1
        start += table[1]
        out = ptr32(int(out) + table[8])
        windows -= 1


@micropython.viper
def depthwise(x: ptr8, w: ptr8, table: ptr32):
    """Accumulators of a depthwise convolution, 32 channels at a time.

    table: as in dense(), but n taps (not bytes), m channels, and after them: bytes between taps. A window is n
    rows of channels, and so is w; bias has at least 32 entries and the accumulators have room for 32.

    The last 32 channels are summed as such, even if some were before. Where there are fewer, those past m are
    garbage that nobody reads. 32 bits: every product is within +-2**15, and TAPS_MAX as above.
    """
    start = int(x) + table[0]
    windows = table[2]
    taps = table[3]
    last = table[4] - 32
    rows = int(w) + table[5]
    bias = int(w) + table[6]
    out = int(x) + table[7]
    row = table[9]
    while windows > 0:
        at = 0
        while at < table[4]:
            if at > last:
                at = 0
                if last > 0:
                    at = last
            w = ptr8(bias + 4 * at)
            s0 = ptr32(w)[0]; s1 = ptr32(w)[1]; s2 = ptr32(w)[2]; s3 = ptr32(w)[3]
            s4 = ptr32(w)[4]; s5 = ptr32(w)[5]; s6 = ptr32(w)[6]; s7 = ptr32(w)[7]
            s8 = ptr32(w)[8]; s9 = ptr32(w)[9]; s10 = ptr32(w)[10]; s11 = ptr32(w)[11]
            s12 = ptr32(w)[12]; s13 = ptr32(w)[13]; s14 = ptr32(w)[14]; s15 = ptr32(w)[15]
            s16 = ptr32(w)[16]; s17 = ptr32(w)[17]; s18 = ptr32(w)[18]; s19 = ptr32(w)[19]
            s20 = ptr32(w)[20]; s21 = ptr32(w)[21]; s22 = ptr32(w)[22]; s23 = ptr32(w)[23]
            s24 = ptr32(w)[24]; s25 = ptr32(w)[25]; s26 = ptr32(w)[26]; s27 = ptr32(w)[27]
            s28 = ptr32(w)[28]; s29 = ptr32(w)[29]; s30 = ptr32(w)[30]; s31 = ptr32(w)[31]
            x = ptr8(start + at)
            w = ptr8(rows + at)
            end = int(x) + row * taps
            while int(x) < end:
                s0 = (w[0] - 128) * x[0] + s0; s1 = (w[1] - 128) * x[1] + s1; s2 = (w[2] - 128) * x[2] + s2; s3 = (w[3] - 128) * x[3] + s3
                s4 = (w[4] - 128) * x[4] + s4; s5 = (w[5] - 128) * x[5] + s5; s6 = (w[6] - 128) * x[6] + s6; s7 = (w[7] - 128) * x[7] + s7
                s8 = (w[8] - 128) * x[8] + s8; s9 = (w[9] - 128) * x[9] + s9; s10 = (w[10] - 128) * x[10] + s10; s11 = (w[11] - 128) * x[11] + s11
                s12 = (w[12] - 128) * x[12] + s12; s13 = (w[13] - 128) * x[13] + s13; s14 = (w[14] - 128) * x[14] + s14; s15 = (w[15] - 128) * x[15] + s15
                s16 = (w[16] - 128) * x[16] + s16; s17 = (w[17] - 128) * x[17] + s17; s18 = (w[18] - 128) * x[18] + s18; s19 = (w[19] - 128) * x[19] + s19
                s20 = (w[20] - 128) * x[20] + s20; s21 = (w[21] - 128) * x[21] + s21; s22 = (w[22] - 128) * x[22] + s22; s23 = (w[23] - 128) * x[23] + s23
                s24 = (w[24] - 128) * x[24] + s24; s25 = (w[25] - 128) * x[25] + s25; s26 = (w[26] - 128) * x[26] + s26; s27 = (w[27] - 128) * x[27] + s27
                s28 = (w[28] - 128) * x[28] + s28; s29 = (w[29] - 128) * x[29] + s29; s30 = (w[30] - 128) * x[30] + s30; s31 = (w[31] - 128) * x[31] + s31
                x = ptr8(int(x) + row)
                w = ptr8(int(w) + row)
            w = ptr8(out + 4 * at)
            ptr32(w)[0] = s0; ptr32(w)[1] = s1; ptr32(w)[2] = s2; ptr32(w)[3] = s3
            ptr32(w)[4] = s4; ptr32(w)[5] = s5; ptr32(w)[6] = s6; ptr32(w)[7] = s7
            ptr32(w)[8] = s8; ptr32(w)[9] = s9; ptr32(w)[10] = s10; ptr32(w)[11] = s11
            ptr32(w)[12] = s12; ptr32(w)[13] = s13; ptr32(w)[14] = s14; ptr32(w)[15] = s15
            ptr32(w)[16] = s16; ptr32(w)[17] = s17; ptr32(w)[18] = s18; ptr32(w)[19] = s19
            ptr32(w)[20] = s20; ptr32(w)[21] = s21; ptr32(w)[22] = s22; ptr32(w)[23] = s23
            ptr32(w)[24] = s24; ptr32(w)[25] = s25; ptr32(w)[26] = s26; ptr32(w)[27] = s27
            ptr32(w)[28] = s28; ptr32(w)[29] = s29; ptr32(w)[30] = s30; ptr32(w)[31] = s31
            at += 32
        start += table[1]
        out += table[8]
        windows -= 1


@micropython.viper
def multiply(arena: ptr8, weights: ptr8, table: ptr32):
    """Lifted products (x - zero_x) * (y - zero_y). table: x, y, bytes of y, repeats of y, zero_x, zero_y,
    accumulators, LIFT."""
    x = ptr8(int(arena) + table[0])
    repeats = table[3]
    out = ptr32(int(arena) + table[6])
    while repeats > 0:
        y = ptr8(int(arena) + table[1])
        end = int(y) + table[2]
        while int(y) < end:
            out[0] = (x[0] - table[4]) * (y[0] - table[5]) + table[7]
            x = ptr8(int(x) + 1)
            y = ptr8(int(y) + 1)
            out = ptr32(int(out) + 4)
        repeats -= 1


@micropython.viper
def add(arena: ptr8, weights: ptr8, table: ptr32):
    """Lifted sums of two table look-ups. table: x, y, bytes of y, repeats of y, 256 int32 addends of x (+ LIFT/2),
    256 of y, accumulators."""
    x = ptr8(int(arena) + table[0])
    repeats = table[3]
    a = ptr32(int(weights) + table[4])
    b = ptr32(int(weights) + table[5])
    out = ptr32(int(arena) + table[6])
    while repeats > 0:
        y = ptr8(int(arena) + table[1])
        end = int(y) + table[2]
        while int(y) < end:
            out[0] = a[x[0]] + b[y[0]]
            x = ptr8(int(x) + 1)
            y = ptr8(int(y) + 1)
            out = ptr32(int(out) + 4)
        repeats -= 1


@micropython.viper
def requantise(v: ptr8, i: ptr8, table: ptr32):
    """Accumulators to outputs: a * q / 2**31 rounded half up, then / 2**shift rounded half away from zero, + zero.

    table: accumulators, windows, m per window, step between windows' accumulators, output, step between windows'
    outputs; then what layers.py's Scaling says: m factors (uint16), m multipliers q (int32, Q31), m shifts
    (uint8: right by 0..30, or 32 + left), drop, places, near, offset, zero.

    Outputs are 0..255. v = factor * (a >> drop) + offset is the output in units of 2**-places, at most 2**near too large
    and never too small, wherever it is not beyond 0..255 anyway. So v >> places is the output unless the
    places' bits above `near` are all 0: then the exact product decides. quantize.fast() proves it, and that v
    stays within 32 bits. The exact product: |a << left| < 2**29 and q < 2**31, so a = a1 * 2**15 + a0 and
    q = q1 * 2**16 + q0 make four products that fit 32 bits; their sum >> 31 is taken in parts.
    """
    acc = ptr32(int(v) + table[0])
    out = ptr8(int(v) + table[4])
    factors = ptr16(int(i) + table[6])
    multipliers = ptr32(int(i) + table[7])
    shifts = ptr8(int(i) + table[8])
    windows = table[1]
    m = table[2]
    drop = table[9]
    places = table[10]
    top = places + 8
    mask = (1 << places) - (1 << table[11])
    offset = table[12]
    while windows > 0:
        i = ptr8(0)
        while int(i) < m:
            v = ptr8(acc[int(i)] - 0x20000000 >> drop)
            v = ptr8(factors[int(i)] * int(v) + offset)
            if int(v) >> top:
                if int(v) < 0:
                    out[int(i)] = 0
                else:
                    out[int(i)] = 255
            elif int(v) & mask:
                out[int(i)] = int(v) >> places
            else:
                a = acc[int(i)] - 0x20000000
                e = shifts[int(i)]
                if e > 31:
                    a <<= e - 32
                    e = 0
                q = multipliers[int(i)]
                v = ptr8(q & 0xFFFF)
                q >>= 16
                low = (a & 0x7FFF) * int(v)
                r = (a >> 15) * int(v)
                v = ptr8((a & 0x7FFF) * q)
                low = (low >> 15) + (r & 0xFFFF) + ((int(v) & 0x7FFF) << 1) + 0x8000
                r = (a >> 15) * q + (r >> 16) + (int(v) >> 15) + (low >> 16)
                if e > 0:
                    if r < 0:
                        r -= 1
                    r = (r + (1 << (e - 1))) >> e
                r += table[13]
                if r >> 8:
                    if r < 0:
                        r = 0
                    else:
                        r = 255
                out[int(i)] = r
            i = ptr8(int(i) + 1)
        acc = ptr32(int(acc) + table[3])
        out = ptr8(int(out) + table[5])
        windows -= 1


@micropython.viper
def lookup(x: ptr8, y: ptr8, table: ptr32):
    """y = values[x]. table: x, y, count, 256 values in weights."""
    values = ptr8(int(y) + table[3])
    y = ptr8(int(x) + table[1])
    x = ptr8(int(x) + table[0])
    end = int(x) + table[2]
    while int(x) < end:
        y[0] = values[x[0]]
        x = ptr8(int(x) + 1)
        y = ptr8(int(y) + 1)


@micropython.viper
def pack(p: ptr8, w: ptr8, table: ptr32):
    """At loading: an output's int8 weights go to their place as value + 128.

    table: source (offset in the first argument), its step, target (offset in weights), its step, n > 0; written to
    it: the sum of value + 128, and the sum of |value|.
    """
    p = ptr8(int(p) + table[0])
    w = ptr8(int(w) + table[2])
    n = table[4]
    s = 0
    a = 0
    while n > 0:
        value = p[0] ^ 0x80
        w[0] = value
        s += value
        value -= 128
        if value < 0:
            a -= value
        else:
            a += value
        p = ptr8(int(p) + table[1])
        w = ptr8(int(w) + table[3])
        n -= 1
    table[5] = s
    table[6] = a


native.accelerate("int8", globals())
