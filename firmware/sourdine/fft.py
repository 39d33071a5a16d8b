"""The 512-point real FFT of the frontend in viper, equal bit for bit to kissfft's with 16-bit integers.

As there, 512 real samples are taken as 256 complex ones, transformed by four stages of radix 4, and untangled.
Each stage first scales by 1/4: a value v becomes (v * 8191 + 2^14) >> 15, kissfft's rounding. What passes
16 bits (only a crafted sound does) wraps, as there.

Cells hold v + 32768 as 16 bits unsigned. That spares every load its sign extension, and scaling a cell is
scaling v and adding 8191: (cell * 8191 + 2^14) >> 15 = ((v * 8191 + 2^14) >> 15) + 8191. What is added before the
shift takes that away again (-0xFFF4000 = 2^14 - 8191 * 2^15), or makes a cell of it (0x3000C000 = 2^14 + 24577 * 2^15).
A cell is stored as uint(...), its low 16 bits.

In each butterfly b, c and d are scaled and turned first, d's imaginary part last. Written for the compiler, as int8.py
says: a kernel's first two arguments are its two registers, and hold one complex value at a time.

Source: kissfft v130 (kiss_fft.c: kf_bfly4, kf_work; tools/kiss_fftr.c: kiss_fftr), FIXED_POINT=16.
"""
# fmt: off

from array import array

from sourdine import native
from sourdine.native import micropython, ptr8, ptr16, ptr32, uint

LOWEST = 5  # the first bin that spectrum() delivers
BINS = 247  # and how many: 5..251, of which the filterbank reads 5..240


def orders():
    """For each butterfly of the first stage, which of the first 64 complex inputs it takes: base-4 digits reversed."""
    return bytes((i & 3) << 4 | i & 12 | i >> 4 for i in range(64))


def twiddles(sine):
    """The factors of stages 2 to 4, for each m = 4, 16, 64 an array('H') of 6 * m cells: re, im of w, w^2, w^3.

    sine  int16[129], Q15, a quarter wave: sin(pi * i / 256).
    """
    tables = []
    for m in (4, 16, 64):
        table = array("H", bytes(12 * m))
        for k in range(m):
            for power in (1, 2, 3):
                angle = k * power * 128 // m  # of 512 to the turn, clockwise
                table[6 * k + 2 * power - 2] = 32768 + _wave(sine, angle + 128)
                table[6 * k + 2 * power - 1] = 32768 - _wave(sine, angle)
        tables.append(table)
    return tables


def untwiddles(sine):
    """The factors that spectrum() untangles bins 5..128 with: array('H') of 2 * 124 cells, minus re and minus im.

    An eighth of a turn and more clockwise from 1, both are negative or 0.
    """
    table = array("H", bytes(4 * 124))
    for i in range(124):
        table[2 * i] = _wave(sine, LOWEST + i)
        table[2 * i + 1] = _wave(sine, LOWEST + i + 128)
    return table


def _wave(sine, i):
    """sin(2 * pi * i / 512), Q15, from its first quarter."""
    i &= 511
    half = i & 255
    value = sine[half if half <= 128 else 256 - half]
    return value if i < 256 else -value


@micropython.viper
def scatter(x: ptr16, y: ptr16, order: ptr8, largest: int) -> int:
    """Scale the samples up, and do the first stage, whose twiddles are 1, from x into y.

    x        int16[512]: the windowed samples, then zeros.
    y        256 complex cells, re and im, for the result.
    order    64 bytes from orders().
    largest  what window() returned; its bit length says how far all can be shifted without passing 15 bits.
    Returns that shift, 0..15.

    A shifted sample is below 65536 * 2^15 = 2^31. One quarter is within +-8191, so four sum to a 16-bit value.
    kissfft multiplies by 32767/32768 here, which changes no value that small.
    """
    shift = 15
    while largest:
        largest >>= 1
        shift -= 1
    samples = int(x)
    out = ptr16(int(y))
    end = int(y) + 1024
    while int(out) < end:
        x = ptr16(samples + (order[0] << 2))
        y = ptr16(shift)
        ar = ((((x[0] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 + 0x3000C000) >> 15
        ai = ((((x[1] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 + 0x3000C000) >> 15
        br = ((((x[128] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 - 0xFFF4000) >> 15
        bi = ((((x[129] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 - 0xFFF4000) >> 15
        x = ptr16(int(x) + 512)
        cr = ((((x[0] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 - 0xFFF4000) >> 15
        ci = ((((x[1] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 - 0xFFF4000) >> 15
        dr = ((((x[128] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 - 0xFFF4000) >> 15
        x = ptr16(((((x[129] << int(y)) & 0xFFFF) ^ 0x8000) * 8191 - 0xFFF4000) >> 15)
        y = ptr16(bi + int(x)); bi -= int(x)
        x = ptr16(ai)
        out[1] = ci + int(x) + int(y); out[5] = ci + int(x) - int(y)
        y = ptr16(br - dr)
        out[3] = int(x) - ci - int(y); out[7] = int(x) - ci + int(y)
        x = ptr16(ar); y = ptr16(br + dr)
        out[0] = cr + int(x) + int(y); out[4] = cr + int(x) - int(y)
        y = ptr16(bi)
        out[2] = int(x) - cr + int(y); out[6] = int(x) - cr - int(y)
        order = ptr8(int(order) + 1)
        out = ptr16(int(out) + 16)
    return shift


@micropython.viper
def stage4(x: ptr16, y: ptr16):
    """The second stage of radix 4, in place: butterflies of four elements 4 apart.

    x  256 complex cells, re and im.
    y  4 * six cells from twiddles(), not read here: they are written out.

    A scaled part is within +-8191 and a factor's within +-32767, so a product's two terms stay below 2^30. For numbers
    that small kissfft's product with 32767 changes nothing, so a turn by 0 or a quarter costs none.
    """
    p = ptr16(int(x))
    end = int(x) + 1024
    while int(p) < end:
        br = (p[8] * 8191 - 0xFFF4000) >> 15; bi = (p[9] * 8191 - 0xFFF4000) >> 15
        cr = (p[16] * 8191 - 0xFFF4000) >> 15; ci = (p[17] * 8191 - 0xFFF4000) >> 15
        dr = (p[24] * 8191 - 0xFFF4000) >> 15
        x = ptr16((p[25] * 8191 - 0xFFF4000) >> 15)
        y = ptr16(bi + int(x)); bi -= int(x)
        x = ptr16((p[1] * 8191 + 0x3000C000) >> 15)
        p[1] = uint(ci + int(x) + int(y)); p[17] = uint(ci + int(x) - int(y))
        y = ptr16(br - dr)
        p[9] = uint(int(x) - ci - int(y)); p[25] = uint(int(x) - ci + int(y))
        x = ptr16((p[0] * 8191 + 0x3000C000) >> 15); y = ptr16(br + dr)
        p[0] = uint(cr + int(x) + int(y)); p[16] = uint(cr + int(x) - int(y))
        y = ptr16(bi)
        p[8] = uint(int(x) - cr + int(y)); p[24] = uint(int(x) - cr - int(y))
        # 1 of 16 to the turn
        x = ptr16((p[10] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[11] * 8191 - 0xFFF4000) >> 15)
        br = (int(x) * 30273 + int(y) * 12539 + 0x4000) >> 15; bi = (int(y) * 30273 - int(x) * 12539 + 0x4000) >> 15
        x = ptr16((p[18] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[19] * 8191 - 0xFFF4000) >> 15)
        cr = ((int(x) + int(y)) * 23170 + 0x4000) >> 15; ci = ((int(y) - int(x)) * 23170 + 0x4000) >> 15
        x = ptr16((p[26] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[27] * 8191 - 0xFFF4000) >> 15)
        dr = (int(x) * 12539 + int(y) * 30273 + 0x4000) >> 15
        x = ptr16((int(y) * 12539 - int(x) * 30273 + 0x4000) >> 15)
        y = ptr16(bi + int(x)); bi -= int(x)
        x = ptr16((p[3] * 8191 + 0x3000C000) >> 15)
        p[3] = uint(ci + int(x) + int(y)); p[19] = uint(ci + int(x) - int(y))
        y = ptr16(br - dr)
        p[11] = uint(int(x) - ci - int(y)); p[27] = uint(int(x) - ci + int(y))
        x = ptr16((p[2] * 8191 + 0x3000C000) >> 15); y = ptr16(br + dr)
        p[2] = uint(cr + int(x) + int(y)); p[18] = uint(cr + int(x) - int(y))
        y = ptr16(bi)
        p[10] = uint(int(x) - cr + int(y)); p[26] = uint(int(x) - cr - int(y))
        # 2 of 16 to the turn
        x = ptr16((p[12] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[13] * 8191 - 0xFFF4000) >> 15)
        br = ((int(x) + int(y)) * 23170 + 0x4000) >> 15; bi = ((int(y) - int(x)) * 23170 + 0x4000) >> 15
        cr = (p[21] * 8191 - 0xFFF4000) >> 15; ci = 0 - ((p[20] * 8191 - 0xFFF4000) >> 15)
        x = ptr16((p[28] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[29] * 8191 - 0xFFF4000) >> 15)
        dr = ((int(y) - int(x)) * 23170 + 0x4000) >> 15
        x = ptr16(((int(x) + int(y)) * -23170 + 0x4000) >> 15)
        y = ptr16(bi + int(x)); bi -= int(x)
        x = ptr16((p[5] * 8191 + 0x3000C000) >> 15)
        p[5] = uint(ci + int(x) + int(y)); p[21] = uint(ci + int(x) - int(y))
        y = ptr16(br - dr)
        p[13] = uint(int(x) - ci - int(y)); p[29] = uint(int(x) - ci + int(y))
        x = ptr16((p[4] * 8191 + 0x3000C000) >> 15); y = ptr16(br + dr)
        p[4] = uint(cr + int(x) + int(y)); p[20] = uint(cr + int(x) - int(y))
        y = ptr16(bi)
        p[12] = uint(int(x) - cr + int(y)); p[28] = uint(int(x) - cr - int(y))
        # 3 of 16 to the turn
        x = ptr16((p[14] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[15] * 8191 - 0xFFF4000) >> 15)
        br = (int(x) * 12539 + int(y) * 30273 + 0x4000) >> 15; bi = (int(y) * 12539 - int(x) * 30273 + 0x4000) >> 15
        x = ptr16((p[22] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[23] * 8191 - 0xFFF4000) >> 15)
        cr = ((int(y) - int(x)) * 23170 + 0x4000) >> 15; ci = ((int(x) + int(y)) * -23170 + 0x4000) >> 15
        x = ptr16((p[30] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[31] * 8191 - 0xFFF4000) >> 15)
        dr = (int(x) * -30273 - int(y) * 12539 + 0x4000) >> 15
        x = ptr16((int(y) * -30273 + int(x) * 12539 + 0x4000) >> 15)
        y = ptr16(bi + int(x)); bi -= int(x)
        x = ptr16((p[7] * 8191 + 0x3000C000) >> 15)
        p[7] = uint(ci + int(x) + int(y)); p[23] = uint(ci + int(x) - int(y))
        y = ptr16(br - dr)
        p[15] = uint(int(x) - ci - int(y)); p[31] = uint(int(x) - ci + int(y))
        x = ptr16((p[6] * 8191 + 0x3000C000) >> 15); y = ptr16(br + dr)
        p[6] = uint(cr + int(x) + int(y)); p[22] = uint(cr + int(x) - int(y))
        y = ptr16(bi)
        p[14] = uint(int(x) - cr + int(y)); p[30] = uint(int(x) - cr - int(y))
        p = ptr16(int(p) + 64)


@micropython.viper
def stage16(x: ptr16, y: ptr16):
    """The third stage: butterflies of four elements 16 apart.

    x  256 complex cells, re and im.
    y  16 * six cells from twiddles().
    """
    p = ptr16(int(x))
    f = ptr16(int(y))
    end = int(x) + 1024
    last = int(x) + 64
    while int(p) < last:
        ur = f[0] - 0x8000; ui = f[1] - 0x8000
        vr = f[2] - 0x8000; vi = f[3] - 0x8000
        wr = f[4] - 0x8000; wi = f[5] - 0x8000
        while int(p) < end:
            x = ptr16((p[32] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[33] * 8191 - 0xFFF4000) >> 15)
            br = (ur * int(x) - ui * int(y) + 0x4000) >> 15; bi = (ui * int(x) + ur * int(y) + 0x4000) >> 15
            x = ptr16((p[64] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[65] * 8191 - 0xFFF4000) >> 15)
            cr = (vr * int(x) - vi * int(y) + 0x4000) >> 15; ci = (vi * int(x) + vr * int(y) + 0x4000) >> 15
            x = ptr16((p[96] * 8191 - 0xFFF4000) >> 15); y = ptr16((p[97] * 8191 - 0xFFF4000) >> 15)
            dr = (wr * int(x) - wi * int(y) + 0x4000) >> 15
            x = ptr16((wi * int(x) + wr * int(y) + 0x4000) >> 15)
            y = ptr16(bi + int(x)); bi -= int(x)
            x = ptr16((p[1] * 8191 + 0x3000C000) >> 15)
            p[1] = uint(ci + int(x) + int(y)); p[65] = uint(ci + int(x) - int(y))
            y = ptr16(br - dr)
            p[33] = uint(int(x) - ci - int(y)); p[97] = uint(int(x) - ci + int(y))
            x = ptr16((p[0] * 8191 + 0x3000C000) >> 15); y = ptr16(br + dr)
            p[0] = uint(cr + int(x) + int(y)); p[64] = uint(cr + int(x) - int(y))
            y = ptr16(bi)
            p[32] = uint(int(x) - cr + int(y)); p[96] = uint(int(x) - cr - int(y))
            p = ptr16(int(p) + 256)
        p = ptr16(int(p) - 1020)
        f = ptr16(int(f) + 12)


@micropython.viper
def stage64(x: ptr16, y: ptr16):
    """The stage of m = 64, whose butterflies have each their own factors.

    x  256 complex cells, re and im.
    y  64 * six cells from twiddles().

    A factor's cell is itself + 2^15, and what that makes too much of a product, v * 2^15, is exactly v after the
    shift. No two terms exceed 8191 * (65535 + 46341 + 1) < 2^30, as a factor's parts are a cosine and a sine.
    """
    p = ptr16(int(x))
    f = ptr16(int(y))
    q = ptr16(int(p) + 256)
    r = ptr16(int(q) + 256)
    s = ptr16(int(r) + 256)
    end = int(q)
    while int(p) < end:
        x = ptr16((q[0] * 8191 - 0xFFF4000) >> 15); y = ptr16((q[1] * 8191 - 0xFFF4000) >> 15)
        br = ((f[0] * int(x) - f[1] * int(y) + 0x4000) >> 15) - int(x) + int(y)
        bi = ((f[1] * int(x) + f[0] * int(y) + 0x4000) >> 15) - int(x) - int(y)
        x = ptr16((r[0] * 8191 - 0xFFF4000) >> 15); y = ptr16((r[1] * 8191 - 0xFFF4000) >> 15)
        cr = ((f[2] * int(x) - f[3] * int(y) + 0x4000) >> 15) - int(x) + int(y)
        ci = ((f[3] * int(x) + f[2] * int(y) + 0x4000) >> 15) - int(x) - int(y)
        x = ptr16((s[0] * 8191 - 0xFFF4000) >> 15); y = ptr16((s[1] * 8191 - 0xFFF4000) >> 15)
        dr = ((f[4] * int(x) - f[5] * int(y) + 0x4000) >> 15) - int(x) + int(y)
        x = ptr16(((f[5] * int(x) + f[4] * int(y) + 0x4000) >> 15) - int(x) - int(y))
        y = ptr16(bi + int(x)); bi -= int(x)
        x = ptr16((p[1] * 8191 + 0x3000C000) >> 15)
        p[1] = uint(ci + int(x) + int(y)); r[1] = uint(ci + int(x) - int(y))
        y = ptr16(br - dr)
        q[1] = uint(int(x) - ci - int(y)); s[1] = uint(int(x) - ci + int(y))
        x = ptr16((p[0] * 8191 + 0x3000C000) >> 15); y = ptr16(br + dr)
        p[0] = uint(cr + int(x) + int(y)); r[0] = uint(cr + int(x) - int(y))
        y = ptr16(bi)
        q[0] = uint(int(x) - cr + int(y)); s[0] = uint(int(x) - cr - int(y))
        p = ptr16(int(p) + 4)
        q = ptr16(int(q) + 4)
        r = ptr16(int(r) + 4)
        s = ptr16(int(s) + 4)
        f = ptr16(int(f) + 12)


@micropython.viper
def spectrum(x: ptr16, y: ptr16, out: ptr32):
    """Untangle the complex transform into the real one's bins 5..251, as energies re^2 + im^2.

    x    256 complex cells, after the last stage; not changed.
    y    124 complex cells from untwiddles().
    out  247 uint32, below 2^31.

    Bins k and 256 - k come from cells k and 256 - k. Halves are within +-16383, so their sums a within +-32766
    and a product's two terms below 32766 * sqrt(2) * 2^15 < 2^31; kissfft keeps 16 bits of the product's part t, so
    (a + t) >> 1 is within +-32767, and the energy below 2^31. Where it rounds half up a value that is negative here,
    half is rounded down: 0x3FFF in place of 0x4000, and + 1 before the last half.
    """
    f = ptr16(int(y))
    p = ptr16(int(x) + 20)
    q = ptr16(int(x) + 1000)  # two cells at a time, the upper one first
    high = ptr32(int(out) + 980)
    while int(p) < int(q):
        x = ptr16(16383)  # minus the imaginary part of the conjugate; -(-32768) is -32768 in 16 bits
        if q[3]:
            x = ptr16((q[3] * 16383 - 0x1FFF4001) >> 15)
        ai = (p[1] * 16383 - 0x1FFF4000) >> 15
        y = ptr16(ai + int(x))
        ai -= int(x)
        x = ptr16((q[2] * 16383 - 0x1FFF4000) >> 15)
        ar = (p[0] * 16383 - 0x1FFF4000) >> 15
        sr = ar + int(x)
        x = ptr16(ar - int(x))
        tr = ((((f[1] * int(y) - f[0] * int(x) + 0x4000) >> 15) + 0x8000) & 0xFFFF) - 0x8000
        ti = ((((f[1] * int(x) + f[0] * int(y) + 0x3FFF) >> 15) + 0x7FFF) & 0xFFFF) - 0x7FFF  # minus the imaginary part
        x = ptr16((sr + tr) >> 1)
        y = ptr16((ai - ti) >> 1)
        out[0] = int(x) * int(x) + int(y) * int(y)
        x = ptr16((sr - tr) >> 1)
        y = ptr16((ai + ti + 1) >> 1)
        high[1] = int(x) * int(x) + int(y) * int(y)
        x = ptr16(16383)
        if q[1]:
            x = ptr16((q[1] * 16383 - 0x1FFF4001) >> 15)
        ai = (p[3] * 16383 - 0x1FFF4000) >> 15
        y = ptr16(ai + int(x))
        ai -= int(x)
        x = ptr16((q[0] * 16383 - 0x1FFF4000) >> 15)
        ar = (p[2] * 16383 - 0x1FFF4000) >> 15
        sr = ar + int(x)
        x = ptr16(ar - int(x))
        tr = ((((f[3] * int(y) - f[2] * int(x) + 0x4000) >> 15) + 0x8000) & 0xFFFF) - 0x8000
        ti = ((((f[3] * int(x) + f[2] * int(y) + 0x3FFF) >> 15) + 0x7FFF) & 0xFFFF) - 0x7FFF
        x = ptr16((sr + tr) >> 1)
        y = ptr16((ai - ti) >> 1)
        out[1] = int(x) * int(x) + int(y) * int(y)
        x = ptr16((sr - tr) >> 1)
        y = ptr16((ai + ti + 1) >> 1)
        high[0] = int(x) * int(x) + int(y) * int(y)
        p = ptr16(int(p) + 8)
        q = ptr16(int(q) - 8)
        f = ptr16(int(f) + 8)
        out = ptr32(int(out) + 8)
        high = ptr32(int(high) - 8)


native.accelerate("fft", globals())
