"""Scales of a quantised net as the reference computes them, in integers alone.

TensorFlow Lite Micro turns float32 scales into fixed-point multipliers by way of double precision. A board
with single-precision floats cannot repeat that, so every step is done here on the bits of the floats, and
rounded where a double would round: to 53 bits, half to even. A value is a pair (mantissa, exponent) of
integers and means mantissa * 2**exponent.

All zero points and limits here are those of the plan: an int8 quantity is held as its value + 128, 0..255.

Source: TFLM's kernels/internal/quantization_util.cc, common.cc, kernel_util.cc, micro/kernels/
{logistic,quantize,add}_common.cc; gemmlowp's fixedpoint.h (what the formulas are; the code is ours).
"""

from sourdine.flatbuffer import ModelError

HIGHEST = 0x7FFFFFFF  # 1 in Q31, as near as it gets


def scale(bits):
    """(mantissa of 24 bits, exponent) of a float32 given by its bits; ModelError unless 2**-40 < it < 2**40."""
    exponent = bits >> 23
    if not 127 - 40 < exponent < 127 + 40:  # a sign bit makes it > 255
        raise ModelError("a scale is not a sensible positive number")
    return bits & 0x7FFFFF | 0x800000, exponent - 150


def divide(n, d, bits):
    """n / d of positive integers, rounded half to even to a mantissa of exactly `bits` bits."""
    e = 0
    top = d << (bits - 1)
    while n < top:
        n <<= 1
        e -= 1
    while n >= top << 1:
        d <<= 1
        top <<= 1
        e += 1
    q, rest = divmod(n, d)
    if 2 * rest > d or (2 * rest == d and q & 1):
        q += 1
        if q >> bits:
            q >>= 1
            e += 1
    return q, e


def fixed(ratio):
    """A double (53 bits, exponent) as (multiplier in Q31, shift): the value is multiplier / 2**31 * 2**shift."""
    q, e = ratio
    multiplier, shift = (q + (1 << 21)) >> 22, e + 53
    if multiplier >> 31:
        multiplier, shift = multiplier >> 1, shift + 1
    return (multiplier, shift) if shift >= -31 else (0, 0)


def product(x, w, y):
    """(multiplier, shift) of x * w / y, the product exact.

    For dense layers with one scale TFLM's source rounds the product to float32; the published package does not,
    and we equal the package (tests/unit/test_int8.py shows it).
    """
    q, e = divide(x[0] * w[0], y[0], 53)
    return fixed((q, e + x[1] + w[1] - y[1]))


def multiply(x, multiplier, shift):
    """x scaled by (multiplier, shift), rounded twice: half up to Q31, then half away from zero."""
    return _shift(_high(x << max(shift, 0), multiplier), max(-shift, 0))


def _high(a, b):
    return min((a * b + (1 << 30)) >> 31, HIGHEST)


def _shift(x, bits):
    return (x + (1 << bits >> 1) - (x < 0)) >> bits if bits else x


def fast(multipliers, largest, zero):
    """How one product of 32 bits decides most outputs: (a factor per multiplier, drop, places, near, offset).

    multipliers: (multiplier, shift) of each output; largest: bound of each one's accumulator, < 2**29; zero: 0..255.
    With R(a) = multiply(a, ...) + zero and v(a) = factor * (a >> drop) + offset, for every |a| <= largest:

        0 <= factor < 2**16 and |v| < 2**31; and R and v >> places are the same once clipped to 0..255, if v >> places
        lies outside of 0..255 or if any bit of v from `near` up to `places` is set

    Proof. Let s = multiplier / 2**31 * 2**shift, U = 2**places, S = s * U * 2**drop, and d = 2**(shift-1) if shift < 0,
    else 0. Both roundings together are R = floor(t / U), t = U * (s*a + 1/2 + zero +- d): a floor of a floor is one;
    + where the product rounds to 0 or more, - elsewhere. Dropping bits of a takes less than S. So for |a| <= A, with
    e = |factor - S| * (A / 2**drop + 1) + d*U, t - U * (zero + 1/2) - factor * (a >> drop) lies in -e .. e + S, and
    with offset = U * (zero + 1/2) + e + S and 2**near >= 2e + S, v in t .. t + 2**near. So floor(v / U) can differ
    from floor(t / U) only if v is less than 2**near above a multiple of U: the bits say so. If v < 0, then t < 0;
    if v >= 256*U, then t >= 255*U: both clip alike. A need not exceed 257 / s, as there v has left 0..256*U; v and
    R are monotonic, so they stay on their sides.

    Where nothing fits, all are 0: then v is 0, and the exact product decides every output.
    """
    top = max([(a * q) >> (31 - shift) for (q, shift), a in zip(multipliers, largest)]) + 260
    shift = max([shift for _, shift in multipliers])
    places = 22
    while places > 0 and top << places > 0x7000_0000:  # leaves room for rounding; _try() looks closer
        places -= 1
    # e is about 257 * U / (2 * S), so 2e + S is least where S is about the root of 257 * U.
    least = max(4 - places // 2 - shift, 0)
    best = [0] * len(multipliers), 0, 0, 0, 0
    gain = 0
    for drop in (least, least + 1):
        cut = min(places, 16 - shift - drop)
        found = _try(multipliers, largest, drop, cut) if cut > 0 else None
        if found and cut - found[1] > gain:
            factors, near, error = found
            gain = cut - near
            best = factors, drop, cut, near, (zero << cut) + (1 << cut >> 1) + error
    return best


def _try(multipliers, largest, drop, places):
    """(factors, near, e + S) of fast(), or None."""
    factors, error, step = [], 0, 0
    for (q, shift), a in zip(multipliers, largest):
        below = 31 - shift - drop - places  # S = q / 2**below
        factor = (q + (1 << below >> 1)) >> below
        if factor >> 16 or factor * ((a >> drop) + 1) + (257 << places) >> 31:
            return None
        factors.append(factor)
        if q and a * q >> (31 - shift) > 257:
            a = (257 << (31 - shift)) // q + 1
        half = (1 << places >> (1 - shift)) + 1 if shift < 0 else 0
        e = (((a >> drop) + 1) * abs((factor << below) - q) >> below) + 1 + half
        if e > error:
            error = e
        if factor >= step and drop:
            step = factor + 1
    near = 0
    while 1 << near < 2 * error + step:
        near += 1
    return (factors, near, error + step) if near < places else None


def limits(activation, y, zero):
    """(lowest, highest) output of a layer with this fused activation (the schema's number)."""
    if activation == 0:
        return 0, 255
    if activation == 1:
        return zero, 255
    if activation == 2:
        one = _steps(1, y)
        return max(zero - one, 0), min(zero + one, 255)
    if activation == 3:
        return zero, min(zero + _steps(6, y), 255)
    raise ModelError(f"activation {activation} is not supported")


def _steps(value, y):
    """round(value / scale) as a float32 division gives it; at most 255 matters."""
    q, e = divide(value, y[0], 24)
    return min(_shift(q, y[1] - e), 255) if y[1] - e > 0 else 255


def convert(x, zero, y, out_zero):
    """The 256 results of QUANTIZE from scale x to scale y."""
    q, e = divide(x[0], y[0], 53)
    multiplier, shift = fixed((q, e + x[1] - y[1]))
    if shift > 22:
        raise ModelError("its scales are too far apart")
    return bytes([min(max(multiply(i - zero, multiplier, shift) + out_zero, 0), 255) for i in range(256)])


def add(x, y, out):
    """Multipliers of ADD: (multiplier, shift) for the first input, the second, and for their sum.

    The inputs go to Q20 of twice the larger scale, see addends().
    """
    largest = x if (x[0] << (x[1] + 100)) > (y[0] << (y[1] + 100)) else y
    twice = largest[0], largest[1] + 1
    q, e = divide(twice[0], out[0], 53)
    multiplier, shift = fixed((q, e + twice[1] - out[1] - 20))
    if shift > 0:
        raise ModelError("the output's scale is too fine")
    return _part(x, twice), _part(y, twice), (multiplier, shift)


def _part(x, twice):
    q, e = divide(x[0], twice[0], 53)
    return fixed((q, e + x[1] - twice[1]))


def addends(part, zero):
    """The 256 addends of one input of ADD, by value; each within +-2**27."""
    return [multiply((i - zero) << 20, part[0], part[1]) for i in range(256)]


def logistic(x, zero):
    """The 256 results of LOGISTIC; the output's scale is 1/256 and its zero point 0 (-128 as int8)."""
    shift = x[1] + 24 + 27  # the input goes to Q27: 4 integer bits
    if not 0 <= shift <= 30:
        raise ModelError("its input's scale is out of range")
    radius = (15 << 27) >> shift
    out = bytearray(256)
    for i in range(256):
        value = i - zero
        if value >= radius:
            out[i] = 255
        elif value > -radius:
            out[i] = min(_shift(_sigmoid(multiply(value, x[0] << 7, shift)), 23), 255)
    return bytes(out)


def _sigmoid(x):
    """1 / (1 + exp(-x)), x in Q27, result in Q31."""
    if x == 0:
        return 1 << 30
    y = _reciprocal(_exp(-abs(x)))
    return y if x > 0 else HIGHEST - y


# exp(-2**i) in Q31 for i = -2..4
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exp(x):
    """exp(x) in Q31 for x < 0 in Q27: a polynomial for the part below 1/4, a product for the rest."""
    quarter = 1 << 25
    fraction = (x & (quarter - 1)) - quarter
    t = (fraction << 4) + (1 << 28)  # Q31, around -1/8
    t2 = _high(t, t)
    tail = _high(_shift(_high(t2, t2), 2) + _high(t2, t), 715827883) + t2  # (t^4/4 + t^3)/3 + t^2
    y = 1895147668 + _high(1895147668, t + _shift(tail, 1))
    rest = fraction - x
    for i in range(7):
        if rest >> (25 + i) & 1:
            y = _high(y, _POWERS[i])
    return y


def _reciprocal(x):
    """1 / (1 + x) in Q31 for 0 <= x <= 1 in Q31, by three steps of Newton's method in Q29."""
    half = (x + HIGHEST + 1) >> 1
    y = 1515870810 + _high(half, -1010580540)
    for _ in range(3):
        y += _clip(_high(y, (1 << 29) - _high(half, y)) << 2)
    return _clip(y << 1)


def _clip(x):
    return max(min(x, HIGHEST), -HIGHEST - 1)
