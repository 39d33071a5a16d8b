"""Calls of the net's kernels that move and look up, and of the one that packs weights."""

from collections.abc import Iterator
from itertools import product as pairs

import numpy as np

from chip.vectors.calls import RANDOM, Calls, calls
from chip.vectors.space import Space, biased, table, written
from chip.vectors.values import drawn, least_aligned
from sourdine_tools.chip.core import Same, Shared

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
        arena = random.integers(0, 256, (each, 3072)).astype(np.uint8)
        expected, numbers = arena.copy(), []
        for _ in range(int(random.integers(1, 4))):
            size, count = (
                4 * int(random.choice([0, 1, 2, 3, 4, 5, 15, 16, 17, 50])) + odd[0] or 4,
                int(random.integers(1, 5)),
            )
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
    def case(x, in_place):
        count, size = x.shape
        values = random.integers(0, 256, (count, 256)).astype(np.uint8)
        arena, constants = Space(random, count), Space(random, count)
        a, at = arena.place(x.astype(np.uint8)), constants.place(values)
        out = a if in_place else arena.place(size)
        before = arena.bytes()
        y = np.take_along_axis(values, x, axis=1)
        return Calls(count, (before, constants.bytes(), table(a, out, size, at)), {0: written(before, out, y)})

    yield case(np.tile(np.arange(256), (16, 1)), False)  # all there are
    for size in (0, 1, 2, 3, 4, 5, 12, 40, 255, 256):
        for in_place in (False, True):
            yield case(random.integers(0, 256, (COUNT // 16, size)), in_place).of(RANDOM)


@calls("int8")
def pack(random: np.random.Generator) -> Iterator[Calls]:
    def case(w, step, target_step, in_place):
        """An output's weights w [calls, n], from cells `step` apart to cells `target_step` apart, of another buffer."""
        count, n = w.shape
        apart = np.zeros((count, (n - 1) * step + 1), np.int64) + 77
        apart[:, ::step] = w
        source = Space(random, count)
        at = source.place(apart.astype(np.int8).view(np.uint8))
        space = source if in_place else Space(random, count)
        target = at if in_place else space.place((n - 1) * target_step + 1)
        before = space.bytes()
        after = before.copy()
        after[:, target : target + (n - 1) * target_step + 1 : target_step] = biased(w)
        numbers = np.tile(np.array([at, step, target, target_step, n, -1, -1], np.int32), (count, 1))
        sums = numbers.copy()
        sums[:, 5], sums[:, 6] = (w + 128).sum(axis=1), abs(w).sum(axis=1)
        if in_place:
            return Calls(count, (before, Same(0), numbers), {0: after, 2: sums})
        return Calls(count, (source.bytes(), before, numbers), {1: after, 2: sums})

    for n in (1, 2, 3, 4, 5, 8, 9, 40, 200):
        for step, target_step in (1, 1), (1, 16), (3, 3), (40, 40):
            in_place = step == target_step > 1
            yield case(np.tile(np.arange(-128, 128)[:, None], n), step, target_step, in_place)
            yield case(drawn(random, (COUNT // 35, n), -128, 127), step, target_step, in_place).of(RANDOM)
