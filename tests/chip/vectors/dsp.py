"""Calls of the sample loops."""

from collections.abc import Iterator

import numpy as np

from chip import hearing
from chip.definitions import dsp as plain
from chip.definitions.fft import bits
from chip.vectors.calls import HEARD, RANDOM, Calls, calls
from chip.vectors.values import drawn, edges, least_aligned, product, rows
from sourdine_tools import tables
from sourdine_tools.chip.core import Same

INT16 = edges(-32768, 32767)
INT32 = edges(-(1 << 31), (1 << 31) - 1)
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 159, 160, 161, 255, 256, 257, 320, 480)
EACH = 400  # random calls of a size: more than 10,000 in all
FOURS = (*range(0, 100, 4), 160, 256)
SIXTEENS = (0, 16, 32, 48, 64, 80, 128, 160, 240, 320, 480, 512)  # for kernels that take so many at once
COUNT = 10_100
EVERY = np.arange(-32768, 32768).astype(np.int16)[None]


def int16(x: np.ndarray) -> np.ndarray:
    """As the kernels have samples; if a row's length is odd, aligned to 16 bits only."""
    cells = x.astype(np.int16)
    return least_aligned(cells) if x.shape[-1] % 2 else cells


def junk(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    """What an output may hold before."""
    return int16(random.integers(-32768, 32768, (count, size)))


@calls("dsp")
def unpack(random: np.random.Generator) -> Iterator[Calls]:
    def case(words, shift):
        out, largest = plain.unpack(words, shift)
        arguments = words.astype(np.int32), junk(random, *words.shape), words.shape[1], shift
        return Calls(len(words), arguments, {1: int16(out)}, largest)

    thresholds = [
        (limit << shift) + step for shift in range(1, 17) for limit in (32767, -32768) for step in (-1, 0, 1, 2)
    ]
    single = product(np.union1d(INT32, np.clip(thresholds, INT32[0], INT32[-1])), np.arange(1, 17))
    alone = np.zeros((len(single), 4), np.int64)
    alone[np.arange(len(single)), np.arange(len(single)) % 4] = single[:, 0]
    yield case(alone, single[:, 1])
    for n in FOURS:
        yield case(drawn(random, (EACH, n), INT32[0], INT32[-1]), random.integers(1, 17, EACH)).of(RANDOM)


@calls("dsp")
def energy(random: np.random.Generator) -> Iterator[Calls]:
    def case(x):
        return Calls(len(x), (int16(x), x.shape[1]), {}, plain.energy(x))

    for n in (*SIZES, 511, 512, 513, 1000, 1023, 1024):
        yield case(np.repeat(INT16[:, None], n, axis=1))  # the largest sums, among others
        yield case(np.where(np.arange(n) < n // 2, INT16[:, None], INT16[::-1, None]))
        yield case(drawn(random, (EACH, n), -32768, 32767)).of(RANDOM)


@calls("dsp")
def mix(random: np.random.Generator) -> Iterator[Calls]:
    def case(out, x, gain_q8):
        arguments = int16(out), int16(x), out.shape[1], gain_q8
        return Calls(len(out), arguments, {0: int16(plain.mix(out, x, gain_q8))})

    pairs = product(INT16, INT16)
    gains = np.union1d(INT16, [77, 255, 256, 257])
    yield case(
        np.resize(pairs[:, 0], (len(gains), len(pairs))), np.resize(pairs[:, 1], (len(gains), len(pairs))), gains
    )
    for n in SIZES:
        both = drawn(random, (EACH, 2 * n), -32768, 32767)
        yield case(both[:, :n], both[:, n:], drawn(random, (EACH,), -32768, 32767)).of(RANDOM)


@calls("dsp")
def copy(random: np.random.Generator) -> Iterator[Calls]:
    for n in SIXTEENS:
        x = int16(drawn(random, (COUNT // len(SIXTEENS), n), -32768, 32767))
        yield Calls(len(x), (x, junk(random, *x.shape), n), {1: x}).of(RANDOM)
    yield Calls(1, (EVERY, junk(random, 1, 65536), 65536), {1: EVERY})


@calls("dsp")
def lift(random: np.random.Generator) -> Iterator[Calls]:
    def case(x):
        after = plain.lift(x.astype(np.int64)).astype(np.uint16)
        yield Calls(len(x), (x, junk(random, *x.shape).view(np.uint16), x.shape[1]), {1: after})
        yield Calls(len(x), (x, Same(0), x.shape[1]), {0: after.view(np.int16)})

    yield from case(EVERY)
    for n in SIXTEENS:
        for part in case(int16(drawn(random, (COUNT // len(SIXTEENS), n), -32768, 32767))):
            yield part.of(RANDOM)


@calls("dsp")
def spread(random: np.random.Generator) -> Iterator[Calls]:
    for n in SIZES:
        x = drawn(random, (EACH, n), -32768, 32767)
        yield Calls(EACH, (int16(x), junk(random, EACH, 2 * n), n), {1: int16(plain.spread(x))}).of(RANDOM)
    both = np.repeat(INT16, 2)[None]
    yield Calls(1, (int16(INT16[None]), junk(random, *both.shape), len(INT16)), {1: int16(both)})


@calls("dsp")
def window(random: np.random.Generator) -> Iterator[Calls]:
    def case(x, weights):
        """The kernel's samples are lifted, and of the largest it tells the bits: all of them set."""
        out, largest = plain.window(x, weights)
        lifted = plain.lift(x).astype(np.uint16)
        arguments = lifted, weights.astype(np.uint16), junk(random, *x.shape), x.shape[1]
        return Calls(len(x), arguments, {2: int16(out)}, (1 << bits(largest)) - 1)

    pairs = product(INT16, edges(0, 4096))
    alone = np.zeros((len(pairs), 16, 2), np.int64)
    alone[np.arange(len(pairs)), np.arange(len(pairs)) % 16] = pairs  # so that it is the largest, in every place
    yield case(*np.moveaxis(alone, -1, 0))
    yield case(*np.moveaxis(rows(pairs, 160), -1, 0))
    for n in SIXTEENS:
        shape = COUNT // len(SIXTEENS), n
        yield case(drawn(random, shape, -32768, 32767), drawn(random, shape, 0, 4096)).of(RANDOM)
    yield case(hearing.windows(), np.tile(tables.window(), (len(hearing.windows()), 1))).of(HEARD)
