"""Calls of the net's kernels that move and look up, and of the one that packs weights."""

from collections.abc import Iterator
from itertools import product as pairs

import numpy as np

from chip.vectors.calls import RANDOM, Calls, calls
from chip.vectors.space import Space, biased, table, written
from chip.vectors.values import drawn, least_aligned
from sourdine_tools.chip.core import Shared

COUNT = 10_000  # random calls, at least


@calls("int8")
def take(random: np.random.Generator) -> Iterator[Calls]:
    for size in (0, 1, 2, 3, 4, 5, 39, 40, 41, 80, 120, 256, 640):
        for x in np.resize(np.arange(-128, 128), (1, size)), drawn(random, (COUNT // 10, size), -128, 127):
            space = Space(random, len(x))
            at = space.place(size)
            arena = space.bytes()
            given = least_aligned(x.astype(np.int8)) if size % 2 else x.astype(np.int8)
            case = Calls(len(x), (arena, given, table(at, size)), {0: written(arena, at, biased(x))})
            yield case.of(RANDOM) if len(x) > 1 else case


@calls("int8")
def fill(random: np.random.Generator) -> Iterator[Calls]:
    def case(runs, count):
        space, numbers, after = Space(random, count), [], []
        for size, value in runs:
            numbers += [space.place(size), size, value]
            after.append((numbers[-3], np.full((count, size), value)))
        arena = space.bytes()
        expected = arena
        for at, content in after:
            expected = written(expected, at, content)
        return Calls(count, (arena, Shared(bytes(4)), table(len(runs), *numbers)), {0: expected})

    for size, value in pairs(range(1, 19), (0, 1, 127, 128, 255)):
        yield case([(size, value)], 4)
    for i in range(COUNT // 40):
        sizes, values = random.choice([1, 2, 3, 4, 5, 7, 8, 16, 40, 100], i % 5), random.integers(0, 256, i % 5)
        yield case(list(zip(sizes.tolist(), values.tolist(), strict=True)), 40).of(RANDOM)


@calls("int8")
def move(random: np.random.Generator) -> Iterator[Calls]:
    """By words and by bytes: every remainder of each address, step and size."""
    each = 10
    for odd in pairs(range(4), repeat=5):
        arena = random.integers(0, 256, (each, 512)).astype(np.uint8)
        expected, numbers = arena.copy(), []
        for _ in range(int(random.integers(1, 4))):
            size, count = 4 * int(random.integers(0, 5)) + odd[0] or 4, int(random.integers(1, 5))
            steps = [size + 4 * int(random.integers(0, 3)) + (odd[i] - size) % 4 for i in (1, 2)]
            source = 4 * int(random.integers(0, 4)) + odd[3]
            target = source + steps[0] * count
            target += 4 * int(random.integers(0, 4)) + (odd[4] - target) % 4
            if random.integers(2):  # downwards as well
                source, target, steps = target, source, steps[::-1]
                if target + steps[1] * count > source:
                    source = target + steps[1] * count + (source - target - steps[1] * count) % 4
            numbers += [source, steps[0], target, steps[1], size, count]
            for i in range(count):
                run = expected[:, source + i * steps[0] :][:, :size].copy()
                expected[:, target + i * steps[1] :][:, :size] = run
        yield Calls(each, (arena, Shared(bytes(4)), table(len(numbers) // 6, *numbers)), {0: expected}).of(RANDOM)


@calls("int8")
def lookup(random: np.random.Generator) -> Iterator[Calls]:
    def case(x):
        count, size = x.shape
        values = random.integers(0, 256, (count, 256)).astype(np.uint8)
        arena, constants = Space(random, count), Space(random, count)
        a, out, at = arena.place(x.astype(np.uint8)), arena.place(size), constants.place(values)
        before = arena.bytes()
        y = np.take_along_axis(values, x, axis=1)
        return Calls(count, (before, constants.bytes(), table(a, out, size, at)), {0: written(before, out, y)})

    yield case(np.tile(np.arange(256), (16, 1)))  # all there are
    for size in (0, 1, 2, 3, 4, 5, 12, 40, 255, 256):
        yield case(random.integers(0, 256, (COUNT // 8, size))).of(RANDOM)


@calls("int8")
def pack(random: np.random.Generator) -> Iterator[Calls]:
    for n, m, by_rows in pairs((1, 2, 3, 4, 5, 8, 9, 40, 200), (1, 2, 3, 8), (True, False)):
        for w in (
            np.full((256, m, n), np.arange(-128, 128)[:, None, None]),
            drawn(random, (COUNT // 70, m, n), -128, 127),
        ):
            count = len(w)
            stored = w if by_rows else w.transpose(0, 2, 1)
            space = Space(random, count)
            sums, at = space.place(4 * m, 4), space.place(stored.reshape(count, -1).astype(np.int8).view(np.uint8))
            before = space.bytes()
            after = written(before, at, biased(stored))
            after = written(after, sums, (w + 128).sum(axis=2).astype("<i4").view(np.uint8))
            steps = (1, n) if by_rows else (m, 1)
            case = Calls(count, (Shared(bytes(4)), before, table(at, sums, n, m, *steps)), {1: after})
            yield case if count == 256 else case.of(RANDOM)
