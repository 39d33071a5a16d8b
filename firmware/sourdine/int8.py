"""The net's inner loops in viper: exact in 32 bits, no allocation, all with one signature.

    kernel(arena, weights, table)
      arena    bytes: every tensor, state and accumulator of the model
      weights  bytes: the call's constants, packed when the model was loaded; only pack() writes there
      table    int32, none negative: byte offsets into the two, counts and sizes, listed per kernel

A plan is a list of such calls. The kernels trust their tables: plan.py checks every offset and size.

An int8 quantity is held as its value + 128, unsigned, activations and weights alike, so that no load needs a
sign. An int32 accumulator is held as its value + LIFT, for the same reason: the desktop's 64-bit viper reads
32 bits without a sign. Accumulators stay within +-LIFT; plan.py refuses a layer that could leave it.

Source: TFLM's reference kernels (what they compute); the sum over (x + 128) * (w + 128) and its correction
are the identity sum(x * w) = sum((x + 128) * (w + 128)) - 128 * sum(x + 128) - 128 * sum(w).
"""

from sourdine.native import micropython, ptr8, ptr32

LIFT = 1 << 30
TAPS_MAX = 1 << 14  # products per output: 2**14 * 255 * 255 < LIFT


@micropython.viper
def take(arena: ptr8, features: ptr8, table: ptr32):
    """Features into the arena: int8 to value + 128. table: target, count."""
    target = ptr8(int(arena) + table[0])
    n = table[1]
    for i in range(n):
        target[i] = features[i] ^ 0x80


@micropython.viper
def fill(arena: ptr8, weights: ptr8, table: ptr32):
    """Runs of one value. table: number of runs, then for each: target, size > 0, value."""
    runs = table[0]
    while runs > 0:
        target = ptr8(int(arena) + table[1])
        end = int(target) + table[2]
        value = table[3]
        while int(target) < end:
            target[0] = value
            target = ptr8(int(target) + 1)
        table = ptr32(int(table) + 12)
        runs -= 1


@micropython.viper
def move(arena: ptr8, weights: ptr8, table: ptr32):
    """Copies within the arena, in order; source and target of one copy do not overlap.

    table: number of copies, then for each: source, its step, target, its step, size, count. `count` runs of
    `size` bytes, each `step` further on; all > 0. Goes by words when everything is a multiple of four.
    """
    copies = table[0]
    while copies > 0:
        source = int(arena) + table[1]
        target = int(arena) + table[3]
        size = table[5]
        count = table[6]
        words = ((source | target | size | table[2] | table[4]) & 3) == 0
        while count > 0:
            end = source + size
            if words:
                x = ptr32(source)
                y = ptr32(target)
                while int(x) < end:
                    y[0] = x[0]
                    x = ptr32(int(x) + 4)
                    y = ptr32(int(y) + 4)
            else:
                a = ptr8(source)
                b = ptr8(target)
                while int(a) < end:
                    b[0] = a[0]
                    a = ptr8(int(a) + 1)
                    b = ptr8(int(b) + 1)
            source += table[2]
            target += table[4]
            count -= 1
        table = ptr32(int(table) + 24)
        copies -= 1


@micropython.viper
def dense(x: ptr8, w: ptr8, table: ptr32):
    """Accumulators of a dense layer or of a convolution whose windows are contiguous.

    table: windows, step between them, number of windows, n bytes of a window (<= TAPS_MAX), m outputs,
    w (m rows of n), bias (m lifted int32), accumulators (windows * m lifted int32).
    """
    start = int(x) + table[0]
    step = table[1]
    windows = table[2]
    n = table[3]
    m = table[4]
    rows = int(w) + table[5]
    biases = int(w) + table[6]
    out = ptr32(int(x) + table[7])
    while windows > 0:
        end = start + n
        eights = start + (n >> 3 << 3)
        s = 0
        x = ptr8(start)
        while int(x) < end:
            s += x[0]
            x = ptr8(int(x) + 1)
        sum_x = s << 7
        w = ptr8(rows)
        bias = ptr32(biases)
        i = m
        while i > 0:
            s = bias[0] - sum_x
            x = ptr8(start)
            while int(x) < eights:  # one expression: the sum stays in a register
                s = x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3] + x[4] * w[4] + x[5] * w[5] + x[6] * w[6] + x[7] * w[7] + s  # fmt: skip
                x = ptr8(int(x) + 8)
                w = ptr8(int(w) + 8)
            while int(x) < end:
                s += x[0] * w[0]
                x = ptr8(int(x) + 1)
                w = ptr8(int(w) + 1)
            out[0] = s
            out = ptr32(int(out) + 4)
            bias = ptr32(int(bias) + 4)
            i -= 1
        start += step
        windows -= 1


@micropython.viper
def depthwise(x: ptr8, w: ptr8, table: ptr32):
    """Accumulators of a depthwise convolution. table: as in dense(), n taps (not bytes), m channels; a window
    is n rows of m, and so is w."""
    start = int(x) + table[0]
    step = table[1]
    windows = table[2]
    n = table[3]
    m = table[4]
    rows = int(w) + table[5]
    biases = int(w) + table[6]
    out = ptr32(int(x) + table[7])
    while windows > 0:
        bias = ptr32(biases)
        end = start + n * m
        i = 0
        while i < m:
            s = bias[0]
            x = ptr8(start + i)
            w = ptr8(rows + i)
            while int(x) < end:
                s += x[0] * (w[0] - 128)
                x = ptr8(int(x) + m)
                w = ptr8(int(w) + m)
            out[0] = s
            out = ptr32(int(out) + 4)
            bias = ptr32(int(bias) + 4)
            i += 1
        start += step
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
def requantise(arena: ptr8, weights: ptr8, table: ptr32):
    """Accumulators to outputs: a * multiplier / 2**31 rounded half up, then / 2**shift rounded half away from zero.

    table: accumulators, windows, m per window, m multipliers (int32, Q31), m shifts (uint8: right by 0..30, or
    32 + left), output, zero point, lowest, highest, LIFT.
    |a << left| < 2**30 and multiplier < 2**31, so a = a1 * 2**15 + a0 and multiplier = m1 * 2**16 + m0 make four
    products that fit 32 bits; their sum >> 31 is taken in parts.
    """
    acc = ptr32(int(arena) + table[0])
    windows = table[1]
    out = ptr8(int(arena) + table[5])
    while windows > 0:
        multipliers = ptr32(int(weights) + table[3])
        shifts = ptr8(int(weights) + table[4])
        end = int(shifts) + table[2]
        while int(shifts) < end:
            a = acc[0] - table[9]
            e = shifts[0]
            if e > 31:
                a <<= e - 32
                e = 0
            a1 = a >> 15
            a0 = a & 0x7FFF
            m1 = multipliers[0] >> 16
            m0 = multipliers[0] & 0xFFFF
            u = a1 * m0
            v = a0 * m1
            low = (u & 0xFFFF) + ((v & 0x7FFF) << 1) + (a0 * m0 >> 15) + 0x8000
            r = a1 * m1 + (u >> 16) + (v >> 15) + (low >> 16)
            if e > 0:
                if r < 0:
                    r -= 1
                r = (r + (1 << (e - 1))) >> e
            r += table[6]
            if r < table[7]:
                r = table[7]
            if r > table[8]:
                r = table[8]
            out[0] = r
            out = ptr8(int(out) + 1)
            acc = ptr32(int(acc) + 4)
            multipliers = ptr32(int(multipliers) + 4)
            shifts = ptr8(int(shifts) + 1)
        windows -= 1


@micropython.viper
def lookup(arena: ptr8, weights: ptr8, table: ptr32):
    """y = values[x]. table: x, y, count, 256 values in weights."""
    x = ptr8(int(arena) + table[0])
    y = ptr8(int(arena) + table[1])
    n = table[2]
    values = ptr8(int(weights) + table[3])
    for i in range(n):
        y[i] = values[x[i]]


@micropython.viper
def pack(arena: ptr8, weights: ptr8, table: ptr32):
    """At loading: int8 weights become value + 128 in place, and each output's sum of those is written down.

    table: w, sums (m int32), n per output, m outputs, step between an output's weights, step between outputs.
    """
    w = int(weights) + table[0]
    sums = ptr32(int(weights) + table[1])
    n = table[2]
    m = table[3]
    for i in range(m):
        p = ptr8(w + i * table[5])
        s = 0
        for _ in range(n):
            p[0] = p[0] ^ 0x80
            s += p[0]
            p = ptr8(int(p) + table[4])
        sums[i] = s
