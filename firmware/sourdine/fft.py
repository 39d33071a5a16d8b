"""The 512-point real FFT of the frontend in viper, equal bit for bit to kissfft's with 16-bit integers.

As there, 512 real samples are taken as 256 complex ones, transformed by four stages of radix 4, and untangled.
Each stage first scales by 1/4: a value v becomes (v * 8191 + 2^14) >> 15, kissfft's rounding. What passes
16 bits (only a crafted sound does) wraps, as there.

Cells hold v + 32768 as 16 bits unsigned. That spares every load its sign extension, and scaling a cell is
scaling v and adding 8191: (cell * 8191 + 2^14) >> 15 = ((v * 8191 + 2^14) >> 15) + 8191.

Source: kissfft v130 (kiss_fft.c: kf_bfly4, kf_work; tools/kiss_fftr.c: kiss_fftr), FIXED_POINT=16.
"""

from array import array

from sourdine import native
from sourdine.native import micropython, ptr8, ptr16, ptr32

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
    """The factors that spectrum() untangles bins 5..128 with: array('H') of 2 * 124 cells, re and im."""
    table = array("H", bytes(4 * 124))
    for i in range(124):
        table[2 * i] = 32768 - _wave(sine, LOWEST + i)
        table[2 * i + 1] = 32768 - _wave(sine, LOWEST + i + 128)
    return table


def _wave(sine, i):
    """sin(2 * pi * i / 512), Q15, from its first quarter."""
    i &= 511
    half = i & 255
    value = sine[half if half <= 128 else 256 - half]
    return value if i < 256 else -value


@micropython.viper
def scatter(x: ptr16, out: ptr16, order: ptr8, largest: int) -> int:
    """Scale the samples up, and do the first stage, whose twiddles are 1, from x into out.

    x        int16[512]: the windowed samples, then zeros.
    out      256 complex cells, re and im.
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
    end = int(out) + 1024
    while int(out) < end:
        p = ptr16(int(x) + (order[0] << 2))
        q = ptr16(int(p) + 512)
        ar = (((p[0] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        ai = (((p[1] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        br = (((p[128] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        bi = (((p[129] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        cr = (((q[0] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        ci = (((q[1] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        dr = (((q[128] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        di = (((q[129] << shift) & 0xFFFF ^ 0x8000) * 8191 + 0x4000) >> 15
        # Each of these is 8191 too large; differences are exact, and the sum of four is to be 32768 too large.
        sr = ar + cr
        si = ai + ci
        ar -= cr
        ai -= ci
        tr = br + dr
        ti = bi + di
        br -= dr
        bi -= di
        out[0] = sr + tr + 4
        out[1] = si + ti + 4
        out[2] = ar + bi + 0x8000
        out[3] = ai - br + 0x8000
        out[4] = sr - tr + 0x8000
        out[5] = si - ti + 0x8000
        out[6] = ar - bi + 0x8000
        out[7] = ai + br + 0x8000
        order = ptr8(int(order) + 1)
        out = ptr16(int(out) + 16)
    return shift


@micropython.viper
def stage(cells: ptr16, factors: ptr16, m: int):
    """One stage of radix 4 in place: butterflies of four elements m apart.

    cells    256 complex cells, re and im.
    factors  for each of the m places in a quarter, six cells from twiddles().
    m        4, 16, 64, in this order.

    A scaled part is within +-8191 and a factor's within +-32767, so a product's two terms stay below 2^30.
    """
    quarter = m << 2  # bytes
    end = int(cells) + 1024
    last = int(cells) + quarter
    while int(cells) < last:
        ur = factors[0] - 0x8000
        ui = factors[1] - 0x8000
        vr = factors[2] - 0x8000
        vi = factors[3] - 0x8000
        wr = factors[4] - 0x8000
        wi = factors[5] - 0x8000
        p = ptr16(int(cells))
        while int(p) < end:
            q = ptr16(int(p) + quarter)
            x = ((q[0] * 8191 + 0x4000) >> 15) - 8191
            y = ((q[1] * 8191 + 0x4000) >> 15) - 8191
            br = (x * ur - y * ui + 0x4000) >> 15
            bi = (x * ui + y * ur + 0x4000) >> 15
            q = ptr16(int(q) + quarter)
            x = ((q[0] * 8191 + 0x4000) >> 15) - 8191
            y = ((q[1] * 8191 + 0x4000) >> 15) - 8191
            cr = (x * vr - y * vi + 0x4000) >> 15
            ci = (x * vi + y * vr + 0x4000) >> 15
            q = ptr16(int(q) + quarter)
            x = ((q[0] * 8191 + 0x4000) >> 15) - 8191
            y = ((q[1] * 8191 + 0x4000) >> 15) - 8191
            dr = (x * wr - y * wi + 0x4000) >> 15
            di = (x * wi + y * wr + 0x4000) >> 15
            x = ((p[0] * 8191 + 0x4000) >> 15) + 24577  # back to v + 32768
            y = ((p[1] * 8191 + 0x4000) >> 15) + 24577
            ar = x - cr
            ai = y - ci
            x += cr
            y += ci
            cr = br + dr
            ci = bi + di
            br -= dr
            bi -= di
            q[0] = (ar - bi) & 0xFFFF
            q[1] = (ai + br) & 0xFFFF
            q = ptr16(int(q) - quarter)
            q[0] = (x - cr) & 0xFFFF
            q[1] = (y - ci) & 0xFFFF
            q = ptr16(int(q) - quarter)
            q[0] = (ar + bi) & 0xFFFF
            q[1] = (ai - br) & 0xFFFF
            p[0] = (x + cr) & 0xFFFF
            p[1] = (y + ci) & 0xFFFF
            p = ptr16(int(p) + (quarter << 2))
        cells = ptr16(int(cells) + 4)
        factors = ptr16(int(factors) + 12)


@micropython.viper
def spectrum(cells: ptr16, factors: ptr16, out: ptr32):
    """Untangle the complex transform into the real one's bins 5..251, as energies re^2 + im^2.

    cells    256 complex cells, after the last stage; not changed.
    factors  124 complex cells from untwiddles().
    out      247 uint32, below 2^31.

    Bins k and 256 - k come from cells k and 256 - k. Halves are within +-16383, so their sums a within +-32766
    and a product's two terms below 32766 * sqrt(2) * 2^15 < 2^31; kissfft keeps 16 bits of the product's part t, so
    (a + t) >> 1 is within +-32767, and the energy below 2^31.
    """
    high = ptr32(int(out) + 984)  # bin 251
    p = ptr16(int(cells) + 20)
    q = ptr16(int(cells) + 1004)
    while int(p) <= int(q):
        ar = (p[0] * 16383 + 0x4000) >> 15
        ai = (p[1] * 16383 + 0x4000) >> 15
        br = (q[0] * 16383 + 0x4000) >> 15
        bi = (((65536 - q[1]) & 0xFFFF) * 16383 + 0x4000) >> 15  # of the conjugate
        # Each of these is 16383 too large.
        x = ar - br
        y = ai - bi
        ar += br - 32766
        ai += bi - 32766
        c = factors[0] - 0x8000
        s = factors[1] - 0x8000
        tr = ((((x * c - y * s + 0x4000) >> 15) + 0x8000) & 0xFFFF) - 0x8000
        ti = ((((x * s + y * c + 0x4000) >> 15) + 0x8000) & 0xFFFF) - 0x8000
        x = (ar + tr) >> 1
        y = (ai + ti) >> 1
        out[0] = x * x + y * y
        x = (ar - tr) >> 1
        y = (ti - ai) >> 1
        high[0] = x * x + y * y
        p = ptr16(int(p) + 4)
        q = ptr16(int(q) - 4)
        factors = ptr16(int(factors) + 4)
        out = ptr32(int(out) + 4)
        high = ptr32(int(high) - 4)


native.accelerate("fft", globals())
