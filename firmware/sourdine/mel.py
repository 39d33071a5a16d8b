"""From energies of FFT bins to 40 features in viper: triangles, root, noise, gain, logarithm, int8.

The reference does this in 64 bits. Here such sums are kept in two words, and a product of more than 32 bits
is made from halves. Why 32 bits suffice is said for any input whatever, not for likely sound.

Source: TFLM microfrontend (filterbank.c, noise_reduction.c, pcan_gain_control.c, log_scale.c).

The kernels are written for the compiler, as int8.py says: a kernel's first two arguments are its two registers.
"""
# fmt: off

from array import array

from sourdine import native
from sourdine.native import micropython, ptr8, ptr16, ptr32, uint


def roots():
    """What root() starts from, uint16[256]: of i = 64..255 the root of (i + 1/2) << 24, nearly; i = 0 is no guess.

    The last three bits are not part of the guess. They say how many pairs of bits i has, 0..4.
    """
    table = array("H", bytes(2 * 256))
    guess = 1 << 12
    for i in range(256):
        pairs = 0
        while i >> 2 * pairs:
            pairs += 1
        while (guess + 1) * (guess + 1) <= (2 * i + 1) << 17:
            guess += 1
        table[i] = (guess << 3 if i > 63 or i == 0 else 0) + pairs
    return table


@micropython.viper
def filterbank(e: ptr16, w: ptr16, counts: ptr8, out: ptr32):
    """Sum energies under 40 overlapping triangles.

    e       energies: uint32, below 2^31, from the first bin of the first slope on; read as two halves.
    w       weights: Q12, 0..4096, per bin; 4096 - weight belongs to the next triangle. The register holds one at a time.
    counts  41 bytes: bins on each slope.
    out     40 sums of 47 bits as two words each: sum >> 16, sum & 0xFFFF.

    A triangle's weights sum to 13.9 * 4096 at most and a slope has 15 bins at most (a test checks the tables), so high
    halves sum below 13.9 * 2^12 * 2^15 + 2^16 < 2^31 and low halves below 15 * 2^12 * 2^16 < 2^32; of the latter, 16
    bits stay when a slope ends and the rest joins the former. What falls is 4096 times all, less what rose.
    """
    weights = w
    fell_high = 0
    fell_low = uint(0)
    slope = 41
    while slope:
        high = fell_high
        low = fell_low
        n = counts[0]
        all_low = 0
        all_high = 0
        if n & 1:
            w = ptr16(weights[0]); low = uint(e[0]) * int(w) + low; high = e[1] * int(w) + high
            all_low = e[0]; all_high = e[1]
            e = ptr16(int(e) + 4); weights = ptr16(int(weights) + 2)
        if n & 2:
            w = ptr16(weights[0]); low = uint(e[0]) * int(w) + low; high = e[1] * int(w) + high
            w = ptr16(weights[1]); low = uint(e[2]) * int(w) + low; high = e[3] * int(w) + high
            all_low = e[0] + e[2] + all_low; all_high = e[1] + e[3] + all_high
            e = ptr16(int(e) + 8); weights = ptr16(int(weights) + 4)
        n >>= 2
        while n:
            w = ptr16(weights[0]); low = uint(e[0]) * int(w) + low; high = e[1] * int(w) + high
            w = ptr16(weights[1]); low = uint(e[2]) * int(w) + low; high = e[3] * int(w) + high
            w = ptr16(weights[2]); low = uint(e[4]) * int(w) + low; high = e[5] * int(w) + high
            w = ptr16(weights[3]); low = uint(e[6]) * int(w) + low; high = e[7] * int(w) + high
            all_low = e[0] + e[2] + e[4] + e[6] + all_low; all_high = e[1] + e[3] + e[5] + e[7] + all_high
            e = ptr16(int(e) + 16); weights = ptr16(int(weights) + 8)
            n -= 1
        if slope < 41:
            out[0] = int(low >> 16) + high
            out[1] = int(low & 0xFFFF)
            out = ptr32(int(out) + 8)
        low = (uint(all_low) << 12) - (low - fell_low)
        fell_high = (all_high << 12) - (high - fell_high) + int(low >> 16)
        fell_low = low & 0xFFFF
        counts = ptr8(int(counts) + 1)
        slope -= 1


@micropython.viper
def root(x: ptr32, s: ptr16, shift: int, out: ptr32):
    """Square roots of 40 sums, rounded to nearest, then >> shift (the samples' own): 24 bits.

    x    sums: as filterbank() leaves them, below 2^47. The register holds half of one, shifted to 30 or 31 bits.
    s    guesses: from roots(). The register holds the root.
    out  40 uint32; may be the same buffer as sums.

    Newton's step from a guess that is 2^-8 off at most is too large by up to 1/4 of 2^16; without 2^14 / guess it is
    too small by less than 1.5. A sum below 2^30 was shifted left by 2 * half bits: its root's last bit is tried. Of a
    larger one, that is the root of all but the last 2 * half bits, and by long division come the last half bits and
    the correction. They are too large by less than 1/16, so what is left says the nearest root, even if it is negative.
    Below 2^32 the reference rounds in 16 bits, where 65536 stays 65535.
    """
    sums = x
    guesses = s
    n = 40
    while n:
        high = sums[0]
        low = sums[1]
        if high >> 14:
            if high >> 24:
                half = (guesses[high >> 24] & 7) + 4
            else:
                half = guesses[high >> 16] & 7
            double = half << 1
            top = (uint(high) << (16 - double)) | (low >> double)
            x = ptr32(int(top >> 1))
            s = ptr16(guesses[int(x) >> 23])
            s = ptr16((int(s) >> 1) + (int(x) - 0x4000) // int(s))
            rest = (int(top - uint(s) * int(s)) << half) + ((low & ((1 << double) - 1)) >> half)
            x = ptr32(rest // (int(s) << 1))
            rest = ((rest - (int(x) << 1) * int(s)) << half) + (low & ((1 << half) - 1)) - int(x) * int(x)
            s = ptr16((int(s) << half) + int(x))
            if rest > int(s):
                s = ptr16(int(s) + 1)
            if int(s) == 0x10000 and high >> 16 == 0:
                s = ptr16(0xFFFF)
        else:
            if high >> 8:
                half = 4 - (guesses[high >> 8] & 7)
            elif high:
                half = 8 - (guesses[high] & 7)
            elif low >> 8:
                half = 12 - (guesses[low >> 8] & 7)
            else:
                half = 16 - (guesses[low] & 7)
            low += high << 16
            x = ptr32(low << ((half << 1) - 1))
            s = ptr16(guesses[int(x) >> 23])
            s = ptr16((int(s) >> 1) + (int(x) - 0x4000) // int(s))
            s = ptr16((int(s) + (1 << (half - 1))) >> half)
            if low - int(s) * int(s) > int(s):
                s = ptr16(int(s) + 1)
        out[0] = int(s) >> shift
        sums = ptr32(int(sums) + 8)
        out = ptr32(int(out) + 4)
        n -= 1


@micropython.viper
def denoise(d: ptr32, x: ptr32):
    """Track the noise of 40 channels and take it from the signal, of which 5 % stay.

    d  signal: 40 uint32, below 2^24; replaced by what remains, below 2^22. The register holds how far it is from the
       noise, then what remains.
    x  noise: 40 uint32, Q10: the estimates, kept from frame to frame. The register holds the signal.

    The estimate moves towards the signal by 409/2^14 (2.5 %) in even channels, by 983/2^14 (6 %) in odd ones, rounded
    down; it never passes it. The reference shifts the signal left by 10 in 32 bits, losing what is above 22; hence the
    mask. 819/2^14 is less than 1/16: of what is above that, no more needs to stay.
    """
    signal = d
    noise = x
    end = int(signal) + 160
    while int(signal) < end:
        x = ptr32(signal[0])
        now = uint(int(x) & 0x3FFFFF) << 10
        mean = uint(noise[0])
        if now > mean:
            d = ptr32(now - mean)
            step = (uint(d) & 0xFFFF) * 409 >> 14
            step = ((uint(d) >> 16) * 409 << 2) + step
            noise[0] = mean + step
            d = ptr32(uint(d) - step >> 10)
            if int(d) < int(x) >> 4:
                least = (int(x) & 0x3FFF) * 819 >> 14
                least = (int(x) >> 14) * 819 + least
                if int(d) < least:
                    d = ptr32(least)
        else:
            d = ptr32(mean - now)
            step = (uint(d) & 0xFFFF) * 409 + 16383 >> 14
            noise[0] = mean - step - ((uint(d) >> 16) * 409 << 2)
            least = (int(x) & 0x3FFF) * 819 >> 14
            d = ptr32((int(x) >> 14) * 819 + least)
        signal[0] = int(d)
        x = ptr32(signal[1])
        now = uint(int(x) & 0x3FFFFF) << 10
        mean = uint(noise[1])
        if now > mean:
            d = ptr32(now - mean)
            step = (uint(d) & 0xFFFF) * 983 >> 14
            step = ((uint(d) >> 16) * 983 << 2) + step
            noise[1] = mean + step
            d = ptr32(uint(d) - step >> 10)
            if int(d) < int(x) >> 4:
                least = (int(x) & 0x3FFF) * 819 >> 14
                least = (int(x) >> 14) * 819 + least
                if int(d) < least:
                    d = ptr32(least)
        else:
            d = ptr32(mean - now)
            step = (uint(d) & 0xFFFF) * 983 + 16383 >> 14
            noise[1] = mean - step - ((uint(d) >> 16) * 983 << 2)
            least = (int(x) & 0x3FFF) * 819 >> 14
            d = ptr32((int(x) >> 14) * 819 + least)
        signal[1] = int(d)
        signal = ptr32(int(signal) + 8)
        noise = ptr32(int(noise) + 8)


def lengths():
    """How many bits each byte has, 0..8: uint8[256]."""
    table = bytearray(256)
    for i in range(1, 256):
        table[i] = table[i >> 1] + 1
    return table


@micropython.viper
def equalise(x: ptr32, p: ptr32, gains: ptr16, bits: ptr8):
    """Per-channel amplitude normalisation (PCAN): a channel's gain falls as its noise rises.

    x      signal: 40 uint32, below 2^22; replaced by signal * gain, squeezed near 0; below 2^25. The register holds
           the noise, then its place t in its octave, then the result.
    p      noise: 40 uint32, Q10, from denoise(); not changed. The register holds the octave, then the gain.
    gains  int16, Q21 of noise^-0.95, a quadratic per octave of the noise: value, slope, curvature at 4 * bits - 6.
           Noises of 0 and 1 have values only, at 0 and 1, and t = 0, which nothing else matters to.
    bits   lengths().

    Gains are 0..32636 (a test tries each), so signal * gain >> 6 is below 2^22 * 2^15 / 2^6 = 2^31.
    """
    signal = x
    noise = p
    end = int(signal) + 160
    while int(signal) < end:
        x = ptr32(uint(noise[0]))
        if uint(x) >> 16:
            if uint(x) >> 24:
                n = bits[int(uint(x) >> 24)] + 13
            else:
                n = bits[int(uint(x) >> 16)] + 5
            x = ptr32(int(uint(x) >> n) & 0x3FF)
            p = ptr32((n << 3) + 76 + int(gains))
        else:
            if int(x) >> 8:
                n = bits[int(x) >> 8] + 8
            else:
                n = bits[int(x)]
            x = ptr32(((int(x) << 11) >> n) & 0x3FF)
            if n < 2:
                p = ptr32((n << 1) + int(gains))
            else:
                p = ptr32((n << 3) - 12 + int(gains))
        part = ((ptr16(p)[1] ^ 0x8000) - 0x8000) << 5
        part = (((ptr16(p)[2] ^ 0x8000) - 0x8000) * int(x) >> 5) + part
        p = ptr32((part * int(x) + 0x4000 >> 15) + ptr16(p)[0])
        x = ptr32(signal[0])
        part = (int(x) & 0xFFF) * int(p) >> 6
        x = ptr32(((int(x) >> 12) * int(p) << 6) + part)
        if int(x) < 8192:
            signal[0] = int(x) * int(x) >> 20
        else:
            signal[0] = (int(x) >> 6) - 64
        signal = ptr32(int(signal) + 4)
        noise = ptr32(int(noise) + 4)


@micropython.viper
def logarithm(x: ptr32, p: ptr16, out: ptr16, bits: ptr8):
    """out[i] = 64 * ln(8 * signal[i]) for 40 channels; 0 for a signal of 0.

    x     signal: 40 uint32, below 2^25; not changed. The register holds one, then what follows its first bit, Q16.
    p     curve: uint16[129], Q16: log2(1 + i/128) - i/128. The register holds the place in it.
    out   40 uint16, 0..1242.
    bits  lengths().

    log2 = n - 1 + 3 + fraction; 45426 is ln 2 in Q16, and 45426 * fraction < 2^16 * 2^16 needs the uint.
    """
    signal = x
    curve = p
    end = int(signal) + 160
    while int(signal) < end:
        x = ptr32(signal[0])
        if int(x):
            if int(x) >> 17:
                n = bits[int(x) >> 17] + 17
                x = ptr32((int(x) >> (n - 17)) & 0xFFFF)
            else:
                if int(x) >> 9:
                    n = bits[int(x) >> 9] + 9
                else:
                    n = bits[int(x) >> 1] + 1
                x = ptr32((int(x) << (17 - n)) & 0xFFFF)
            p = ptr16(((int(x) >> 9) << 1) + int(curve))
            part = int(x) & 0x1FF
            x = ptr32(((p[1] - p[0]) * part >> 16) + p[0] + int(x))
            x = ptr32(int(uint(x) * 45426 + 0x8000 >> 16) + 91364)  # 2 * 45426, and 2^9 to round
            x = ptr32(n * 45426 + int(x) >> 10)
        out[0] = int(x)
        signal = ptr32(int(signal) + 4)
        out = ptr16(int(out) + 2)


@micropython.viper
def quantize(x: ptr16, out: ptr8, n: int):
    """Features as the models take them: int8, of scale 26/255 and zero point -128, for n uint16 of 1/25.6.

    out[i] = round(x / 25.6 / (26/255)) - 128 = round(x * 1275 / 3328) - 128, at most 127. A half would need
    x = 1664, which is past saturation, so how halves round does not matter. Up to 664 a product and a shift say the same (a test tries all).
    """
    end = int(out) + n
    while int(out) < end:
        out[0] = 127
        if x[0] < 665:
            out[0] = (x[0] * 6277 + 8084 >> 14) - 128
        x = ptr16(int(x) + 2)
        out = ptr8(int(out) + 1)


native.accelerate("mel", globals())
