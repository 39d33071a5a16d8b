"""Sample loops in viper: what the microphone, the speaker and the frontend's window do to int16 samples.

Throughout the kernels: an int is 32 bits on the chip and 64 on the desktop, where ptr32 moreover reads
unsigned, so nothing may depend on either: no result leaves 32 bits (tests/viper.py raises where one would)
and signed samples are read as 16-bit cells, `(a[i] ^ 0x8000) - 0x8000`; ptr16 itself yields 0..65535.

They are written for the compiler, as int8.py says: a kernel's first two arguments are its two registers.
"""
# fmt: off

from sourdine import native
from sourdine.native import micropython, ptr16, ptr32, uint


@micropython.viper
def unpack(v: ptr32, high: ptr16, n: int, shift: int) -> int:
    """Turn the microphone's words into samples: out[i] = words[i] >> shift, saturated.

    v      words: n int32 as I2S delivers them; the register then holds one sample at a time.
    high   out: n int16; must not overlap words. The register then holds the largest sample, and at least 0.
    n      a multiple of 4.
    shift  bits, 1..16.
    Returns the largest |out|, 0..32768: 0 is digital silence.

    A word is shifted as word + 2^31, without a sign. Only what is beyond all samples before can saturate.
    """
    words = v
    out = high
    high = ptr16(0)
    low = 0
    top = uint(1) << 31
    base = 1 << (31 - shift)
    end = int(out) + (n << 1)
    while int(out) < end:
        v = ptr32(int((uint(words[0]) ^ top) >> shift) - base)
        if int(v) > int(high):
            if int(v) > 32767:
                v = ptr32(32767)
            high = ptr16(int(v))
        if int(v) < low:
            if int(v) < -32768:
                v = ptr32(-32768)
            low = int(v)
        out[0] = int(v)
        v = ptr32(int((uint(words[1]) ^ top) >> shift) - base)
        if int(v) > int(high):
            if int(v) > 32767:
                v = ptr32(32767)
            high = ptr16(int(v))
        if int(v) < low:
            if int(v) < -32768:
                v = ptr32(-32768)
            low = int(v)
        out[1] = int(v)
        v = ptr32(int((uint(words[2]) ^ top) >> shift) - base)
        if int(v) > int(high):
            if int(v) > 32767:
                v = ptr32(32767)
            high = ptr16(int(v))
        if int(v) < low:
            if int(v) < -32768:
                v = ptr32(-32768)
            low = int(v)
        out[2] = int(v)
        v = ptr32(int((uint(words[3]) ^ top) >> shift) - base)
        if int(v) > int(high):
            if int(v) > 32767:
                v = ptr32(32767)
            high = ptr16(int(v))
        if int(v) < low:
            if int(v) < -32768:
                v = ptr32(-32768)
            low = int(v)
        out[3] = int(v)
        words = ptr32(int(words) + 16)
        out = ptr16(int(out) + 8)
    if int(high) < 0 - low:
        return 0 - low
    return int(high)


@micropython.viper
def energy(x: ptr16, s: int) -> int:
    """Mean square of n int16 samples, n in 0..1024, rounded down; 0 if n is 0. At most 2^30.

    x  samples.
    s  n; the register then holds one sample at a time.

    The sum is kept as high * 2^16 + low, with high <= 2^24. Three squares and 16 bits that were left are below 2^32.
    """
    n = s
    if n == 0:
        return 0
    high = 0
    low = uint(0)
    end = int(x) + (n << 1)
    last = end - 15
    while int(x) < last:
        s = (x[0] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        s = (x[1] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        s = (x[2] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        high = int(low >> 16) + high; low = low & 0xFFFF
        s = (x[3] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        s = (x[4] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        s = (x[5] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        high = int(low >> 16) + high; low = low & 0xFFFF
        s = (x[6] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        s = (x[7] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        high = int(low >> 16) + high; low = low & 0xFFFF
        x = ptr16(int(x) + 16)
    while int(x) < end:
        s = (x[0] ^ 0x8000) - 0x8000; low = uint(s * s) + low
        high = int(low >> 16) + high; low = low & 0xFFFF
        x = ptr16(int(x) + 2)
    mean = high // n
    return (mean << 16) + (((high - mean * n) << 16) + int(low)) // n


@micropython.viper
def mix(out: ptr16, x: ptr16, n: int, gain_q8: int):
    """Add sound: out[i] += x[i] * gain_q8 >> 8, saturated; n int16 samples each.

    gain_q8  Q8, 256 is 1; -32768..32767, so the product is within 2^30.
    """
    end = int(out) + (n << 1)
    while int(out) < end:
        y = ((out[0] ^ 0x8000) - 0x8000) + ((((x[0] ^ 0x8000) - 0x8000) * gain_q8) >> 8)
        if y > 32767:
            y = 32767
        if y < -32768:
            y = -32768
        out[0] = y
        out = ptr16(int(out) + 2)
        x = ptr16(int(x) + 2)


@micropython.viper
def copy(x: ptr32, out: ptr32, n: int):
    """Copy n 16-bit cells, n a multiple of 16. Goes by words: x and out are multiples of 4."""
    end = int(x) + (n << 1)
    while int(x) < end:
        out[0] = x[0]; out[1] = x[1]; out[2] = x[2]; out[3] = x[3]
        out[4] = x[4]; out[5] = x[5]; out[6] = x[6]; out[7] = x[7]
        x = ptr32(int(x) + 32)
        out = ptr32(int(out) + 32)


@micropython.viper
def lift(x: ptr32, out: ptr32, n: int):
    """Samples without a sign, out[i] = x[i] + 32768: n int16, n a multiple of 16, as n uint16.

    Goes by words, each two samples: x and out are multiples of 4.
    """
    top = 0 - 0x8000
    top = (top << 16) + 0x8000  # what + 32768 does to 16 bits, twice
    end = int(x) + (n << 1)
    while int(x) < end:
        out[0] = x[0] ^ top; out[1] = x[1] ^ top; out[2] = x[2] ^ top; out[3] = x[3] ^ top
        out[4] = x[4] ^ top; out[5] = x[5] ^ top; out[6] = x[6] ^ top; out[7] = x[7] ^ top
        x = ptr32(int(x) + 32)
        out = ptr32(int(out) + 32)


@micropython.viper
def spread(x: ptr16, out: ptr16, n: int):
    """Say the same on both sides: out[2 i] = out[2 i + 1] = x[i], n 16-bit cells in; must not overlap."""
    end = int(x) + (n << 1)
    while int(x) < end:
        out[0] = x[0]
        out[1] = x[0]
        out = ptr16(int(out) + 4)
        x = ptr16(int(x) + 2)


@micropython.viper
def window(v: ptr16, largest: ptr16, out: ptr16, n: int) -> int:
    """Taper samples: out[i] = (x[i] - 32768) * weights[i] >> 12.

    v        x: n uint16, samples as lift() leaves them; the register then holds one result at a time.
    largest  weights: n of Q12, 0..4096; the register then holds all results' squares, or-ed together.
    out      n int16; must not overlap x.
    n        a multiple of 16.
    Returns 2^bits - 1, of as many bits as the largest |out| has. -32768 counts as 0.

    A square has twice as many bits as its root, or one less, and is 2^30 of -32768 alone.

    Source: window.c, which negates in 16 bits, where -(-32768) stays negative and so is never the largest.
    """
    x = v
    w = largest
    largest = ptr16(0)
    end = int(out) + (n << 1)
    while int(out) < end:
        v = ptr16((x[0] - 0x8000) * w[0] >> 12); out[0] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[1] - 0x8000) * w[1] >> 12); out[1] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[2] - 0x8000) * w[2] >> 12); out[2] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[3] - 0x8000) * w[3] >> 12); out[3] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[4] - 0x8000) * w[4] >> 12); out[4] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[5] - 0x8000) * w[5] >> 12); out[5] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[6] - 0x8000) * w[6] >> 12); out[6] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[7] - 0x8000) * w[7] >> 12); out[7] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[8] - 0x8000) * w[8] >> 12); out[8] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[9] - 0x8000) * w[9] >> 12); out[9] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[10] - 0x8000) * w[10] >> 12); out[10] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[11] - 0x8000) * w[11] >> 12); out[11] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[12] - 0x8000) * w[12] >> 12); out[12] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[13] - 0x8000) * w[13] >> 12); out[13] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[14] - 0x8000) * w[14] >> 12); out[14] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        v = ptr16((x[15] - 0x8000) * w[15] >> 12); out[15] = int(v); largest = ptr16(int(v) * int(v) | int(largest))
        x = ptr16(int(x) + 32)
        w = ptr16(int(w) + 32)
        out = ptr16(int(out) + 32)
    squares = int(largest) & 0x3FFFFFFF
    ones = 0
    while squares:
        squares >>= 2
        ones = (ones << 1) + 1
    return ones


native.accelerate("dsp", globals())
