"""Calls of the net's kernels that compute."""

from collections.abc import Iterator
from itertools import product as pairs

import numpy as np

from chip.definitions import int8 as plain
from chip.vectors.calls import RANDOM, Calls, calls
from chip.vectors.space import Space, biased, lifted, table, written
from chip.vectors.values import drawn, edges, product, rows
from sourdine import int8
from sourdine_tools.chip.core import Shared

LIFT, LEFT = int8.LIFT, 32  # an accumulator's and a left shift's marks
INT8 = np.array([-128, -127, -1, 0, 1, 126, 127])
ZEROS = np.array([-128, -1, 0, 1, 127])
COUNT = 10_000  # random calls, at least


def layer(random, x, windows, zero_x, w, bias, shape, acc):
    """Calls of dense() or depthwise(): x [calls, bytes], w [calls, m or taps, ...], shape (step, windows, n, m)."""
    axis = 2 if windows is int8.dense else 1
    totals = w.sum(axis=axis)
    constants, arena = Space(random, len(x)), Space(random, len(x))
    biases = constants.place(lifted(bias - (zero_x[:, None] + 128) * totals), 4)
    weights = constants.place(biased(w))
    at, out = arena.place(biased(x)), arena.place(4 * acc[0].size, 4)
    before = arena.bytes()
    step, count, n, m = shape
    numbers = table(at, step, count, n, m, weights, biases, out)
    return Calls(len(x), (before, constants.bytes(), numbers), {0: written(before, out, lifted(acc))})


def sharp_layers(taps, outputs):
    """(x, weight, zero, bias) constant over a layer, in every combination: the largest sums of either sign."""
    most = LIFT - 1 - taps * 255 * 128
    return product(INT8, INT8, ZEROS, np.array([-most, -1, 0, 1, most]))


@calls("int8")
def dense(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, zero_x, w, bias, windows, step):
        n, m = w.shape[2], w.shape[1]
        x_windows = np.stack([x[:, i * step : i * step + n] for i in range(windows)], axis=1)
        acc = plain.dense(x_windows, zero_x, w, bias)
        return layer(random, x, int8.dense, zero_x, w, bias, (step, windows, n, m), acc)

    for n in (1, 7, 8, 9, 64, 300):
        x, w, zero_x, bias = sharp_layers(n, 1).T
        yield case(np.tile(x[:, None], n), zero_x, np.tile(w[:, None, None], (1, 1, n)), bias[:, None], 1, n)
    largest = int8.TAPS_MAX
    for x, w in pairs((-128, 127), (-128, 127)):
        for bias in (-1, 1):
            values = np.full((1, largest), x), np.array([-128]), np.full((1, 1, largest), w)
            yield case(*values, np.array([[bias * (LIFT - 1 - largest * 255 * 128)]]), 1, largest)
    for n in (*range(1, 18), 23, 24, 25, 31, 32, 33, 40, 48, 63, 64, 65, 120, 200):
        for m, windows in ((1, 1), (2, 1), (3, 2), (4, 3), (5, 1), (8, 1), (12, 1)):
            count, step = COUNT // 200, int(random.integers(1, n + 4))
            x = drawn(random, (count, n + step * (windows - 1)), -128, 127)
            w = drawn(random, (count, m, n), -128, 127)
            bias = drawn(random, (count, m), -(1 << 20), 1 << 20)
            yield case(x, random.choice(ZEROS, count), w, bias, windows, step).of(RANDOM)


@calls("int8")
def depthwise(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, zero_x, w, bias, windows, step):
        n, m = w.shape[1:]
        x_windows = np.stack([x[:, i * step : i * step + n * m].reshape(-1, n, m) for i in range(windows)], axis=1)
        acc = plain.depthwise(x_windows, zero_x, w, bias)
        return layer(random, x, int8.depthwise, zero_x, w, bias, (step, windows, n, m), acc)

    for n in (1, 7, 64):
        x, w, zero_x, bias = sharp_layers(n, 1).T
        yield case(np.tile(x[:, None], n), zero_x, np.tile(w[:, None, None], (1, n, 1)), bias[:, None], 1, n)
    for n in (*range(1, 12), 15, 16, 17, 21, 29, 40):
        for m, windows in ((1, 1), (2, 2), (3, 1), (4, 1), (5, 1), (8, 2), (12, 1), (40, 1)):
            count, step = COUNT // 130, m * int(random.integers(1, 4))
            x = drawn(random, (count, n * m + step * (windows - 1)), -128, 127)
            w = drawn(random, (count, n, m), -128, 127)
            bias = drawn(random, (count, m), -(1 << 20), 1 << 20)
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
    def case(acc, multiplier, shift, zero, low, high):
        """acc [calls, windows, m]; multiplier and shift [calls, m]; int8 limits per call."""
        limits = [side[:, None, None] for side in (zero, low, high)]
        y = plain.requantise(acc, multiplier[:, None], shift[:, None], *limits)
        arena, constants = Space(random, len(acc)), Space(random, len(acc))
        a, out = arena.place(lifted(acc), 4), arena.place(acc[0].size)
        multipliers = constants.place(multiplier.astype("<i4").view(np.uint8), 4)
        shifts = constants.place(np.where(shift > 0, LEFT + shift, -shift).astype(np.uint8))
        before = arena.bytes()
        numbers = table(
            a, acc.shape[1], acc.shape[2], multipliers, shifts, out, zero + 128, low + 128, high + 128, LIFT
        )
        return Calls(len(acc), (before, constants.bytes(), numbers), {0: written(before, out, biased(y))})

    multipliers = np.array([0, 1 << 30, (1 << 30) + 1, 0x60000000, 0x7FFF8000, 0x7FFFFFFE, 0x7FFFFFFF])
    shifts = np.arange(-30, 31)

    def fitting(acc, shift):
        """An accumulator may not leave +-LIFT once shifted left."""
        most = (LIFT >> np.maximum(shift, 0)) - 1
        return np.clip(acc, -most, most)

    sharp = product(edges(-LIFT + 1, LIFT - 1, *(3 << k for k in range(29))), multipliers, shifts)
    acc, multiplier, shift = np.moveaxis(rows(sharp, 16), -1, 0)
    zero = random.choice(ZEROS, len(acc))
    yield case(fitting(acc, shift)[:, None], multiplier, shift, zero, np.full(len(acc), -128), np.full(len(acc), 127))
    # Accumulators whose result is near a half, or near a limit: target * 2^(31 - shift) / multiplier, and beside.
    targets = product(np.arange(-262, 263), np.array([2, 5, 9, 20, 22]), multipliers[1:])
    half, right, multiplier = targets.T
    acc = (half << 30 + right) // multiplier
    near = (acc[:, None] + np.arange(-2, 3)).clip(-LIFT + 1, LIFT - 1)
    multiplier, right = np.repeat(multiplier, 5), np.repeat(right, 5)
    acc, multiplier, shift = (rows(column, 16) for column in (near.ravel(), multiplier, -right))
    for zero, low, high in ((0, -128, 127), (-128, -128, 127), (127, -128, 127), (-5, -5, 60), (3, 3, 3)):
        yield case(acc[:, None], multiplier, shift, *(np.full(len(acc), side) for side in (zero, low, high)))
    # Products at a half of the first rounding which, once rounded, are at a half of the second.
    right, steps = random.integers(0, 22, 40_000), random.integers(-131, 131, 40_000)
    exact = np.where(right > 0, (2 * steps + 1 << np.maximum(right, 1) - 1) * 2 - 1, 2 * steps + 1)  # twice the product
    acc = exact * random.integers(512, 1024, exact.shape) // 1024
    acc = np.where(acc < 0, -1, 1) * np.maximum(abs(acc), 1)
    multiplier = (exact << 30) // acc + random.integers(-1, 2, exact.shape)
    fits = (multiplier >= 1 << 30) & (multiplier < 1 << 31) & (abs(acc) < LIFT)
    acc, multiplier, shift = (rows(column[fits], 16) for column in (acc, multiplier, -right))
    yield case(acc[:, None], multiplier, shift, *(np.full(len(acc), side) for side in (0, -128, 127)))
    for m, windows in pairs((1, 2, 3, 4, 5, 8, 12, 40), (1, 2, 3)):
        count = COUNT // 20
        shift = random.integers(-30, 31, (count, m))
        acc = fitting(drawn(random, (count, windows, m), -LIFT + 1, LIFT - 1), shift[:, None])
        if m % 2:  # as a layer's are: results within a few hundred
            shift = random.integers(-12, -4, (count, m))
            acc = random.integers(-300, 300, (count, windows, m)) << -shift[:, None]
        bounds = np.sort(random.integers(-128, 128, (count, 2)), axis=1)
        multiplier = random.integers(1 << 30, 1 << 31, (count, m))
        zero = random.integers(-128, 128, count)
        yield case(acc, multiplier, shift, zero, bounds[:, 0], bounds[:, 1]).of(RANDOM)
