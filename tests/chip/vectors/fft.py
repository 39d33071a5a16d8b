"""Calls of the FFT's kernels."""

from collections.abc import Iterator

import numpy as np

from chip import hearing
from chip.definitions import fft as plain
from chip.vectors.calls import HEARD, RANDOM, Calls, calls, parts
from chip.vectors.values import drawn, edges, product, rows
from sourdine import fft, tables
from sourdine_tools.chip.core import Shared

COUNT = 10_000  # random calls, at least


def packed(z: np.ndarray) -> np.ndarray:
    """Complex values as the kernels' cells hold them."""
    return (z + 32768).reshape(len(z), 512).astype(np.uint16)


def butterflies(values: tuple[int, ...], m: int) -> np.ndarray:
    """Cells such that every place of a quarter sees every combination of values in its four complex elements."""
    combinations = product(*[np.array(values)] * 8).reshape(-1, 4, 2)
    groups = 64 // m
    cells = np.repeat(rows(combinations, groups)[:, :, :, None], m, axis=3)
    return cells.reshape(-1, 256, 2)


@calls("fft")
def scatter(random: np.random.Generator) -> Iterator[Calls]:
    order = Shared(fft.orders())

    def case(x, largest):
        shift = 15 - plain.bits(largest)
        z = plain.shifted(x, shift).reshape(-1, 256, 2)[:, plain.digits_reversed()]
        out = packed(plain.stage(z, 1))
        junk = random.integers(0, 65536, out.shape).astype(np.uint16)
        return Calls(len(x), (x.astype(np.int16), junk, order, largest), {1: out}, shift)

    for values in ((-32768, -1, 1, 32767), (-32768, -16384, 0, 16383)):
        cells = butterflies(values, 1)
        x = np.empty_like(cells)
        x[:, plain.digits_reversed()] = cells
        for (part,) in parts(x.reshape(-1, 512)):
            yield case(part, random.integers(0, 32768, len(part)))
    for largest in edges(0, 32767):
        yield case(drawn(random, (100, 512), -32768, 32767), np.full(100, largest))
    for x, largest in parts(drawn(random, (COUNT, 512), -32768, 32767), drawn(random, (COUNT,), 0, 32767)):
        yield case(x, largest).of(RANDOM)
    heard = hearing.heard()
    yield case(np.pad(heard.windowed, [(0, 0), (0, 32)]), heard.largest).of(HEARD)


def stage(random: np.random.Generator, m: int) -> Iterator[Calls]:
    """Of the stage whose butterflies are m apart."""
    i = plain.QUARTERS.index(m) - 1
    factors = Shared(fft.twiddles(tables.SINE)[i])

    def case(z):
        return Calls(len(z), (packed(z), factors), {0: packed(plain.stage(z, m))})

    for (part,) in parts(butterflies((-32768, 1, 32767), m)):
        yield case(part)
    for (part,) in parts(drawn(random, (COUNT, 256, 2), -32768, 32767)):
        yield case(part).of(RANDOM)
    yield case(hearing.heard().cells[i]).of(HEARD)


@calls("fft")
def stage4(random: np.random.Generator) -> Iterator[Calls]:
    return stage(random, 4)


@calls("fft")
def stage16(random: np.random.Generator) -> Iterator[Calls]:
    return stage(random, 16)


@calls("fft")
def stage64(random: np.random.Generator) -> Iterator[Calls]:
    return stage(random, 64)


@calls("fft")
def spectrum(random: np.random.Generator) -> Iterator[Calls]:
    factors = Shared(fft.untwiddles(tables.SINE))

    def case(z):
        out = plain.energies(z)[:, fft.LOWEST - 1 : fft.LOWEST - 1 + fft.BINS].astype(np.uint32)
        junk = random.integers(0, 1 << 32, out.shape).astype(np.uint32)
        return Calls(len(z), (packed(z), factors, junk), {2: out})

    pairs = product(*[np.array([-32768, -32767, -16384, -1, 0, 1, 16383, 32766, 32767])] * 4).reshape(-1, 2, 2)
    for (part,) in parts(pairs):
        z = np.zeros((len(part), 256, 2), np.int64)
        z[:, :128], z[:, 128:] = part[:, :1], part[:, 1:]
        yield case(z)
    for (part,) in parts(drawn(random, (COUNT, 256, 2), -32768, 32767)):
        yield case(part).of(RANDOM)
    yield case(hearing.heard().cells[3]).of(HEARD)
