"""Calls of the net's kernels that compute."""

from collections.abc import Iterator
from itertools import product as pairs

import numpy as np

from chip.definitions import int8 as plain
from chip.vectors.calls import RANDOM, Calls, calls
from chip.vectors.space import Space, biased, lifted, table, written
from chip.vectors.values import drawn, edges, product, rows
from sourdine import int8, quantize
from sourdine_tools.chip.core import Shared

LIFT, LEFT = int8.LIFT, 32  # an accumulator's and a left shift's marks
INT8 = np.array([-128, -127, -1, 0, 1, 126, 127])
ZEROS = np.array([-128, -1, 0, 1, 127])
COUNT = 10_000  # random calls, at least


def layer(random, x, shape, weights, biases, acc, row=None):
    """Calls of a kernel that sums. x: bytes [calls, …]; shape: step, windows, n, units; weights and biases as packed;
    acc [calls, windows, outputs]. `row`: of depthwise(), which leaves anything behind its outputs, up to LANES."""
    constants, arena = Space(random, len(x)), Space(random, len(x))
    places = [constants.place(biases, 4), constants.place(weights)]
    outputs = acc.shape[2]
    lanes = outputs + 4 * int(random.integers(0, 3))  # from one window to the next
    at = arena.place(biased(x))
    size = 4 * (lanes * (acc.shape[1] - 1) + max(outputs, int8.LANES))
    out = arena.place(size, 4)
    arena.place(int8.SLACK)
    before = arena.bytes()
    after, free = before.copy(), np.zeros(before.shape, bool)
    free[:, out : out + size] = row is not None
    for i in range(acc.shape[1]):
        start = out + 4 * lanes * i
        after[:, start : start + 4 * outputs] = lifted(acc[:, i])
        free[:, start : start + 4 * outputs] = False
    step, windows, n, units = shape
    numbers = table(at, step, windows, n, units, places[1], places[0], out, 4 * lanes, *([row] if row else []))
    return Calls(len(x), (before, constants.bytes(), numbers), {0: after}, free={0: free} if row else {})


def sharp_layers(taps):
    """(x, weight, zero, bias) constant over a layer, in every combination: the largest sums of either sign."""
    most = LIFT - 1 - taps * 255 * 128
    return product(INT8, INT8, ZEROS, np.array([-most, -1, 0, 1, most]))


def folded(bias, zero_x, w, axis):
    """Biases as packed: for inputs without their zero point."""
    return bias - (zero_x[:, None] + 128) * w.sum(axis=axis)


def windows_of(x, windows, step, size):
    return np.stack([x[:, i * step : i * step + size] for i in range(windows)], axis=1)


def dense_layers(random, case, ms):
    """Calls by case(x, zero_x, w, bias, windows, step) with m outputs of `ms`."""
    m = ms[0]
    for n in (1, 3, 7, 8, 9, 64, 300):
        x, w, zero_x, bias = sharp_layers(n).T
        w = np.tile(w[:, None, None], (1, m, n))
        yield case(np.tile(x[:, None], n), zero_x, w, np.tile(bias[:, None], m), 1, n)
    most, largest = int8.TAPS_MAX, LIFT - 1 - int8.TAPS_MAX * 255 * 128
    for x, w, bias in pairs((-128, 127), (-128, 127), (-largest, largest)):
        full = np.full((1, most), x), np.array([-128]), np.full((1, m, most), w), np.full((1, m), bias)
        yield case(*full, 1, most)
    for n in (*range(1, 18), 23, 24, 25, 31, 32, 33, 40, 48, 63, 64, 65, 120, 200):
        for m, windows in ms[1]:
            count, step = COUNT // (28 * len(ms[1])) + 1, int(random.integers(1, n + 4))
            x = drawn(random, (count, n + step * (windows - 1)), -128, 127)
            x[random.random(x.shape) < 0.3] = -128  # as after a RELU, which the kernel may skip
            w, bias = drawn(random, (count, m, n), -128, 127), drawn(random, (count, m), -(1 << 20), 1 << 20)
            yield case(x, random.choice(ZEROS, count), w, bias, windows, step).of(RANDOM)


@calls("int8")
def dense(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, zero_x, w, bias, windows, step):
        """Weights in blocks of 16 outputs: a row of 16 for each input, then rows of 0 to fill the last group."""
        calls, m, n = w.shape
        acc = plain.dense(windows_of(x, windows, step, n), zero_x, w, bias)
        padded = np.pad(w, [(0, 0), (0, 0), (0, -n % int8.GROUP)], constant_values=-128)
        blocks = padded.reshape(calls, -1, int8.BLOCK, padded.shape[2]).transpose(0, 1, 3, 2)
        shape = step, windows, n, m // int8.BLOCK
        return layer(random, x, shape, biased(blocks), lifted(folded(bias, zero_x, w, 2)), acc)

    yield from dense_layers(random, case, (16, ((16, 1), (16, 3), (32, 2), (48, 1))))


@calls("int8")
def dot(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, zero_x, w, bias, windows, step):
        acc = plain.dense(windows_of(x, windows, step, w.shape[2]), zero_x, w, bias)
        shape = step, windows, w.shape[2], w.shape[1]
        return layer(random, x, shape, biased(w), lifted(folded(bias, zero_x, w, 2)), acc)

    yield from dense_layers(random, case, (1, ((1, 1), (2, 1), (3, 2), (4, 3), (5, 1), (8, 1), (12, 1))))


@calls("int8")
def depthwise(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, zero_x, w, bias, windows, step):
        """x [calls, rows, row of channels], w [calls, taps, row]; the m channels that have a bias are summed."""
        (_, n, row), m = w.shape, bias.shape[1]
        acc = plain.depthwise(windows_of(x, windows, step, n)[..., :m], zero_x, w[..., :m], bias)
        lanes = np.pad(folded(bias, zero_x, w[..., :m], 1), [(0, 0), (0, max(int8.LANES - m, 0))])
        packed = np.pad(biased(w), [(0, 0), (0, int8.SLACK)])
        return layer(random, x, (step * row, windows, n, m), packed, lifted(lanes), acc, row)

    for n, m in (1, 1), (7, 33), (64, 1):
        x, w, zero_x, bias = sharp_layers(n).T
        x, w = np.tile(x[:, None, None], (1, n, m)), np.tile(w[:, None, None], (1, n, m))
        yield case(x, zero_x, w, np.tile(bias[:, None], m), 1, n)
    for n in (*range(1, 12), 15, 16, 17, 21, 29, 40):
        for m, windows in ((1, 1), (2, 2), (3, 1), (8, 2), (31, 1), (32, 2), (33, 1), (40, 2), (64, 1), (80, 1)):
            count, step, row = COUNT // 160, int(random.integers(1, 3)), m + int(random.choice([0, 0, 1, 40]))
            x = drawn(random, (count, n + step * (windows - 1), row), -128, 127)
            w, bias = drawn(random, (count, n, row), -128, 127), drawn(random, (count, m), -(1 << 20), 1 << 20)
            yield case(x, random.choice(ZEROS, count), w, bias, windows, step).of(RANDOM)


@calls("int8")
def multiply(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, zero_x, y, zero_y, repeats):
        acc = plain.mul(x, zero_x[:, None], np.tile(y, (1, repeats)), zero_y[:, None])
        arena = Space(random, len(x))
        a, b, out = arena.place(biased(x)), arena.place(biased(y)), arena.place(4 * x.shape[1], 4)
        before = arena.bytes()
        numbers = table(a, b, y.shape[1], repeats, zero_x + 128, zero_y + 128, out, np.int64(LIFT))
        return Calls(len(x), (before, Shared(bytes(4)), numbers), {0: written(before, out, lifted(acc))})

    sharp = product(INT8, INT8)
    zeros = product(np.arange(-128, 128, 15), np.arange(-128, 128, 15))
    x, y = (np.tile(side, (len(zeros), 1)) for side in sharp.T)
    yield case(x, zeros[:, 0], y, zeros[:, 1], 1)
    for size in (1, 2, 3, 4, 12, 40):
        for repeats in (1, 2, 5):
            count = COUNT // 16
            x, y = drawn(random, (count, size * repeats), -128, 127), drawn(random, (count, size), -128, 127)
            yield case(x, random.integers(-128, 128, count), y, random.integers(-128, 128, count), repeats).of(RANDOM)


@calls("int8")
def add(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, y, repeats, addends):
        acc = addends[0][x + 128] + np.tile(addends[1][y + 128], (1, repeats))
        arena, constants = Space(random, len(x)), Space(random, 1)
        a, b, out = arena.place(biased(x)), arena.place(biased(y)), arena.place(4 * x.shape[1], 4)
        tables = [constants.place((part + LIFT // 2).astype("<i4").view(np.uint8)[None], 4) for part in addends]
        before = arena.bytes()
        numbers = table(a, b, y.shape[1], repeats, *tables, out)
        return Calls(len(x), (before, Shared(constants.bytes()[0]), numbers), {0: written(before, out, lifted(acc))})

    def addends_of(scale_x, zero_x, scale_y, zero_y):
        parts = plain.starts(scale_x, scale_y, 1.0)
        codes = np.arange(-128, 128)
        return [plain.addend(codes, zero, *map(np.int64, part)) for zero, part in zip((zero_x, zero_y), parts)]

    everything = product(np.arange(-128, 128), np.arange(-128, 128))
    for scales in ((1, 1), (1, 1e-3), (1e-6, 1)):
        yield case(*np.moveaxis(rows(everything, 256), -1, 0), 1, addends_of(scales[0], -128, scales[1], 127))
    for size in (1, 2, 3, 4, 12, 40):
        for repeats in (1, 2, 5):
            for _ in range(6):
                scales, zeros = np.exp(random.uniform(-4, 1, 2)), random.integers(-128, 128, 2)
                count = COUNT // 100
                x, y = drawn(random, (count, size * repeats), -128, 127), drawn(random, (count, size), -128, 127)
                yield case(x, y, repeats, addends_of(scales[0], zeros[0], scales[1], zeros[1])).of(RANDOM)


@calls("int8")
def requantise(random: np.random.Generator) -> Iterator[Calls]:
    def case(acc, multiplier, shift, zero, largest=None):
        """acc [calls, windows, m]; multiplier and shift [calls, m]; zero [calls]. With `largest`, a bound of every
        accumulator, these three are one for all calls, and most outputs take the short way."""
        calls, windows, m = acc.shape
        y = plain.requantise(acc, multiplier[:, None], shift[:, None], zero[:, None, None], -128, 127)
        factors, parameters = np.zeros((calls, m), "<u2"), [0, 0, 0, 0]
        if largest is not None:
            scales = list(zip(multiplier[0].tolist(), shift[0].tolist(), strict=True))
            factors[:], *parameters = quantize.fast(scales, largest.tolist(), int(zero[0]) + 128)
        lanes, outputs = m + 4 * int(random.integers(0, 2)), m + int(random.integers(0, 4))  # between windows
        arena, constants = Space(random, calls), Space(random, calls)
        spaced = np.zeros((calls, windows, lanes), np.int64)
        spaced[..., :m] = acc
        a, out = arena.place(lifted(spaced), 4), arena.place(outputs * windows)
        multipliers = constants.place(multiplier.astype("<i4").view(np.uint8), 4)
        at = constants.place(factors.view(np.uint8), 2)
        shifts = constants.place(np.where(shift > 0, LEFT + shift, -shift).astype(np.uint8))
        before = arena.bytes()
        after = before.copy()
        for i in range(windows):
            after[:, out + i * outputs :][:, :m] = biased(y[:, i])
        places = at, multipliers, shifts
        numbers = table(a, windows, m, 4 * lanes, out, outputs, *places, *parameters, zero + 128)
        return Calls(calls, (before, constants.bytes(), numbers), {0: after})

    multipliers = np.array([0, 1 << 30, (1 << 30) + 1, 0x60000000, 0x7FFF8000, 0x7FFFFFFE, 0x7FFFFFFF])
    shifts = np.arange(-30, 29)

    def fitting(acc, shift):
        """An accumulator may not leave +-LIFT once shifted left."""
        most = (LIFT >> np.maximum(shift, 0)) - 1
        return np.clip(acc, -most, most)

    sharp = product(edges(-LIFT + 1, LIFT - 1, *(3 << k for k in range(28))), multipliers, shifts)
    acc, multiplier, shift = np.moveaxis(rows(sharp, 16), -1, 0)
    yield case(fitting(acc, shift)[:, None], multiplier, shift, random.choice(ZEROS, len(acc)))
    # Accumulators whose result is near a half, or near a limit: target * 2^(31 - shift) / multiplier, and beside.
    targets = product(np.arange(-262, 263), np.array([2, 5, 9, 19, 21]), multipliers[1:])
    half, right, multiplier = targets.T
    near = ((half << 30 + right) // multiplier)[:, None] + np.arange(-2, 3)
    multiplier, right = np.repeat(multiplier, 5), np.repeat(right, 5)
    acc, multiplier, shift = (
        rows(column, 16) for column in (near.ravel().clip(-LIFT + 1, LIFT - 1), multiplier, -right)
    )
    for zero in (0, -128, 127):
        yield case(acc[:, None], multiplier, shift, np.full(len(acc), zero))
    # Products at a half of the first rounding which, once rounded, are at a half of the second.
    right, steps = random.integers(0, 21, 40_000), random.integers(-131, 131, 40_000)
    exact = np.where(right > 0, (2 * steps + 1 << np.maximum(right, 1) - 1) * 2 - 1, 2 * steps + 1)  # twice the product
    acc = exact * random.integers(512, 1024, exact.shape) // 1024
    acc = np.where(acc < 0, -1, 1) * np.maximum(abs(acc), 1)
    multiplier = (exact << 30) // acc + random.integers(-1, 2, exact.shape)
    fits = (multiplier >= 1 << 30) & (multiplier < 1 << 31) & (abs(acc) < LIFT)
    acc, multiplier, shift = (rows(column[fits], 16) for column in (acc, multiplier, -right))
    yield case(acc[:, None], multiplier, shift, np.zeros(len(acc), np.int64))
    for m, windows in pairs((1, 2, 3, 4, 5, 8, 12, 40), (1, 2, 3)):
        count = COUNT // 48
        shift = random.integers(-30, 29, (count, m))
        acc = fitting(drawn(random, (count, windows, m), -LIFT + 1, LIFT - 1), shift[:, None])
        multiplier = random.integers(1 << 30, 1 << 31, (count, m))
        yield case(acc, multiplier, shift, random.integers(-128, 128, count)).of(RANDOM)
    # Layers as there are: the bound of every sum is known, and sums are anywhere below it, or where an output changes.
    for i in range(300):
        m, windows, count = int(random.choice([1, 2, 5, 12, 40])), int(random.integers(1, 3)), 20
        shift = int(random.integers(-20, 3)) + random.integers(-3, 4, m)
        multiplier = random.integers(1 << 30, 1 << 31, m) if i % 8 else random.choice(multipliers, m)
        largest = fitting(random.integers(1, 1 << random.integers(8, 30), m), shift)
        zero = int(random.integers(-128, 128))
        target = random.integers(-3, 260, (count, windows, m)) - (zero + 128)
        scale = np.maximum(multiplier, 1) * 2.0 ** (shift - 31)
        sharp = np.rint((target - 0.5) / scale) + random.integers(-2, 3, target.shape)
        loose = random.integers(-largest, largest + 1, target.shape)
        acc = np.where(random.integers(0, 3, target.shape), sharp.clip(-largest, largest).astype(np.int64), loose)
        every = (np.tile(column, (count, 1)) for column in (multiplier, shift))
        yield case(acc, *every, np.full(count, zero), largest).of(RANDOM)
