"""Sample loops in viper: what the microphone, the speaker and the frontend's window do to int16 samples.

Throughout the kernels: an int is 32 bits on the chip and 64 on the desktop, where ptr32 moreover reads
unsigned, so nothing may depend on either: no result leaves 32 bits (tests/viper.py raises where one would)
and signed samples are read as 16-bit cells, `((a[i] & 0xFFFF) ^ 0x8000) - 0x8000`; ptr16 itself yields 0..65535.
"""

from sourdine import native
from sourdine.native import micropython, ptr16, ptr32


@micropython.viper
def unpack(words: ptr32, out: ptr16, n: int, shift: int) -> int:
    """Turn the microphone's words into samples: out[i] = words[i] >> shift, saturated.

    words  n int32 as I2S delivers them, little-endian.
    out    n int16; must not overlap words.
    shift  bits, 0..16.
    Returns the largest |out|, 0..32768: 0 is digital silence.

    A word is read as two halves, high * 2^16 + low; high * 2^(16 - shift) is within 2^31.
    """
    largest = 0
    half = ptr16(words)
    end = int(out) + (n << 1)
    while int(out) < end:
        x = (((half[1] ^ 0x8000) - 0x8000) << (16 - shift)) + (half[0] >> shift)
        if x < 0:
            if x < -32768:
                x = -32768
            if 0 - x > largest:
                largest = 0 - x
        else:
            if x > 32767:
                x = 32767
            if x > largest:
                largest = x
        out[0] = x
        half = ptr16(int(half) + 4)
        out = ptr16(int(out) + 2)
    return largest


@micropython.viper
def energy(x: ptr16, n: int) -> int:
    """Mean square of n int16 samples, n in 0..1024, rounded down; 0 if n is 0. At most 2^30.

    The sum is kept as high * 2^16 + low, with high <= 2^24 and low < 2^26.
    """
    if n == 0:
        return 0
    high = 0
    low = 0
    end = int(x) + (n << 1)
    while int(x) < end:
        square = (x[0] ^ 0x8000) - 0x8000
        square *= square
        high += square >> 16
        low += square & 0xFFFF
        x = ptr16(int(x) + 2)
    mean = high // n
    return (mean << 16) + (((high - mean * n) << 16) + low) // n


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
def copy(x: ptr16, out: ptr16, n: int):
    """Copy n 16-bit cells."""
    end = int(out) + (n << 1)
    while int(out) < end:
        out[0] = x[0]
        out = ptr16(int(out) + 2)
        x = ptr16(int(x) + 2)


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
def window(x: ptr16, weights: ptr16, out: ptr16, n: int) -> int:
    """Taper samples: out[i] = x[i] * weights[i] >> 12.

    x        n int16.
    weights  n of Q12, 0..4096.
    out      n int16; must not overlap x.
    Returns all |out| or-ed together: its bit length is the largest one's. -32768 counts as 0.

    Source: window.c, which negates in 16 bits, where -(-32768) stays negative and so is never the largest.
    """
    largest = 0
    end = int(out) + (n << 1)
    while int(out) < end:
        y = (((x[0] ^ 0x8000) - 0x8000) * weights[0]) >> 12
        out[0] = y
        if y < 0:
            y = 0 - y
        largest |= y
        x = ptr16(int(x) + 2)
        weights = ptr16(int(weights) + 2)
        out = ptr16(int(out) + 2)
    return largest & 0x7FFF


native.accelerate("dsp", globals())
