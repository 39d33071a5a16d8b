"""Calls of the features' kernels: 40 channels each."""

from collections.abc import Iterator

import numpy as np

from chip import hearing
from chip.definitions import mel as plain
from chip.vectors.calls import HEARD, RANDOM, Calls, calls, parts
from chip.vectors.values import drawn, edges, product, rows
from sourdine import mel, tables
from sourdine_tools.chip.core import Same, Shared

COUNT = 10_000
CHANNELS = 40
WORD = (1 << 32) - 1


def words(sums: np.ndarray) -> np.ndarray:
    """Sums of 47 bits as filterbank() leaves them: high and low half, each in a word."""
    return np.stack([sums >> 16, sums & 0xFFFF], axis=-1).reshape(len(sums), -1).astype(np.uint32)


def junk(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    return random.integers(0, 1 << 32, (count, size)).astype(np.uint32)


@calls("mel")
def filterbank(random: np.random.Generator) -> Iterator[Calls]:
    weights, counts = tables.MEL_WEIGHTS, tables.MEL_COUNTS
    bins, top = len(weights), (1 << 31) - 1

    def case(energies):
        out = words(plain.filterbank(energies, np.array(weights, np.int64), np.array(counts)))
        arguments = energies.astype(np.uint32), Shared(weights), Shared(counts), junk(random, len(energies), 80)
        return Calls(len(energies), arguments, {3: out})

    values = edges(0, top)
    yield case(np.repeat(values[:, None], bins, axis=1))
    for value in (1, 0xFFFF, 0x10000, top):  # one bin alone, and all but one
        yield case(value * np.eye(bins, dtype=np.int64))
        yield case(value * (1 - np.eye(bins, dtype=np.int64)))
    yield case(rows(product(values, values).reshape(-1), bins))
    for (part,) in parts(drawn(random, (COUNT, bins), 0, top)):
        yield case(part).of(RANDOM)
    yield case(hearing.heard().energies[:, 4 : 4 + bins]).of(HEARD)


@calls("mel")
def root(random: np.random.Generator) -> Iterator[Calls]:
    guesses = Shared(mel.roots())

    def case(sums, shift, in_place):
        roots = plain.root(sums) >> shift[:, None]
        given, after = words(sums), words(sums)
        after[:, :CHANNELS] = roots
        if in_place:
            return Calls(len(sums), (given, guesses, shift, Same(0)), {0: after})
        return Calls(len(sums), (given, guesses, shift, junk(random, len(sums), CHANNELS)), {3: after[:, :CHANNELS]})

    def sharp(roots):
        """Their squares, and where rounding changes, with the sums beside, in rows."""
        squares = (roots * roots)[:, None] + np.array([-1, 0, 1])
        halves = (roots * roots + roots)[:, None] + np.array([-1, 0, 1, 2])
        return rows(np.concatenate([squares.ravel(), halves.ravel()]).clip(0, (1 << 47) - 1), CHANNELS)

    top = 11_863_282  # the root of 2^47
    few = np.concatenate([sharp(edges(0, top)), rows(edges(0, (1 << 47) - 1), CHANNELS)])
    for shift in range(16):
        yield case(few, np.full(len(few), shift), shift % 2)
    for roots in np.arange(1 << 16), drawn(random, (12_000,), 0, top), random.integers(1 << 23, top, 12_000):
        many = sharp(roots)
        yield case(many, np.zeros(len(many), np.int64), False)
    leading = np.arange(1 << 14, 1 << 16) << 30  # every leading digit, where the guess is most wrong
    for ones in (0, 1, 1 << 15, 1 << 29):
        many = rows(leading - ones, CHANNELS) >> 1
        yield case(many, np.zeros(len(many), np.int64), ones == 1)
    for in_place in (False, True):
        sums, shift = drawn(random, (COUNT // 2, CHANNELS), 0, (1 << 47) - 1), random.integers(0, 16, COUNT // 2)
        yield case(sums, shift, in_place).of(RANDOM)
    heard = hearing.heard()
    yield case(heard.sums, heard.shift, False).of(HEARD)


@calls("mel")
def denoise(random: np.random.Generator) -> Iterator[Calls]:
    def case(signal, noise):
        left, estimate = plain.denoise(signal, noise)
        arguments = signal.astype(np.uint32), noise.astype(np.uint32)
        return Calls(len(signal), arguments, {0: left.astype(np.uint32), 1: estimate.astype(np.uint32)})

    top = (1 << 24) - 1
    pairs = product(edges(0, top), edges(0, WORD))
    for turn in (0, 1):  # every pair in an even channel and in an odd one
        yield case(*np.moveaxis(rows(np.roll(pairs, turn, axis=0), CHANNELS), -1, 0))
    x = drawn(random, (COUNT // 10, CHANNELS), 0, (1 << 22) - 1)
    for step in range(-2, 3):  # an estimate that lands at the signal, or beside it
        yield case(x, np.clip((x << 10) + step, 0, WORD))
    yield case(drawn(random, (COUNT, CHANNELS), 0, top), drawn(random, (COUNT, CHANNELS), 0, WORD)).of(RANDOM)
    heard = hearing.heard()
    yield case(heard.roots, heard.noise).of(HEARD)


@calls("mel")
def equalise(random: np.random.Generator) -> Iterator[Calls]:
    lut = np.array(tables.GAINS, np.int64)

    def case(signal, noise):
        out = plain.equalise(signal, noise, lut).astype(np.uint32)
        arguments = signal.astype(np.uint32), noise.astype(np.uint32), Shared(tables.GAINS), Shared(mel.lengths())
        return Calls(len(signal), arguments, {0: out})

    top = (1 << 22) - 1
    yield case(*np.moveaxis(rows(product(edges(0, top), edges(0, WORD)), CHANNELS), -1, 0))
    octaves = [np.arange(2048), *((1024 | np.arange(1024)) << bits - 11 for bits in range(12, 33))]
    noise = np.concatenate(octaves)  # each value that a gain can have
    gain = np.maximum(plain.gain(noise, lut), 1)
    for snr in (0, 1, 1023, 1024, 8191, 8192, 8193, 1 << 20):  # at the bend of the curve, and beside
        signal = np.clip(np.stack([(snr << 6) // gain + step for step in (-1, 0, 1)]), 0, top).ravel()
        yield case(rows(signal, CHANNELS), rows(np.tile(noise, 3), CHANNELS))
    yield case(drawn(random, (COUNT, CHANNELS), 0, top), drawn(random, (COUNT, CHANNELS), 0, WORD)).of(RANDOM)
    heard = hearing.heard()
    yield case(heard.denoised, heard.estimate).of(HEARD)


@calls("mel")
def logarithm(random: np.random.Generator) -> Iterator[Calls]:
    def case(signal):
        out = plain.logarithm(signal, np.array(tables.LOG, np.int64)).astype(np.uint16)
        raw = junk(random, len(signal), CHANNELS).astype(np.uint16)
        arguments = signal.astype(np.uint32), Shared(tables.LOG), raw, Shared(mel.lengths())
        return Calls(len(signal), arguments, {2: out})

    top = (1 << 25) - 1
    segments = ((128 + np.arange(128))[:, None] << np.arange(19) >> 1).ravel()
    yield case(rows(edges(0, top, *segments.tolist()), CHANNELS))
    lut, first, last = np.array(tables.LOG, np.int64), np.zeros(1243, np.int64), np.full(1243, top)
    while (first < last).any():  # the least signal that gives each output
        middle = first + last >> 1
        enough = plain.logarithm(middle, lut) >= np.arange(1243)
        first, last = np.where(enough, first, middle + 1), np.where(enough, middle, last)
    steps = (np.arange(-8, 9) * np.maximum(first >> 17, 1)[:, None]).ravel()
    yield case(rows((np.repeat(first, 17) + steps).clip(0, top), CHANNELS))
    yield case(rows(np.arange(1 << 14), CHANNELS))
    yield case(drawn(random, (COUNT, CHANNELS), 0, top)).of(RANDOM)
    yield case(hearing.heard().equalised).of(HEARD)


@calls("mel")
def quantize(random: np.random.Generator) -> Iterator[Calls]:
    def case(raw):
        junk = random.integers(-128, 128, raw.shape).astype(np.int8)
        return Calls(len(raw), (raw.astype(np.uint16), junk, raw.shape[1]), {1: plain.quantize(raw).astype(np.int8)})

    yield case(np.arange(65536).reshape(-1, 64))  # all there are
    for n in (0, 1, 2, 3, 39, 40, 41, 80):
        yield case(drawn(random, (COUNT // 8, n), 0, 65535)).of(RANDOM)
    yield case(np.clip(drawn(random, (COUNT // 4, CHANNELS), 0, 2047), 0, 1242)).of(RANDOM)
    yield case(hearing.heard().raw).of(HEARD)
