"""The features' kernels against the reference's 64-bit arithmetic written plainly, over whole ranges."""

import math
from array import array

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourdine import mel, tables

energy = st.one_of(st.integers(0, (1 << 31) - 1), st.sampled_from([0, 1, 65535, 65536, (1 << 31) - 1]))
sums = st.lists(st.integers(0, 47).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)), min_size=40, max_size=40)
signals = st.lists(st.integers(0, 24).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)), min_size=40, max_size=40)
estimates = st.lists(st.integers(0, 32).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)), min_size=40, max_size=40)
EDGES = [(1 << bits) + offset for bits in range(2, 46, 3) for offset in (-1, 0, 1)][:40]
HALVES = [root * root + root + offset for root in (1, 255, 65534, 65535, 65536, 1 << 20, 11863282) for offset in (0, 1)]


def words(values):
    return array("I", [half for value in values for half in (value >> 16, value & 0xFFFF)])


def rounded_root(x):
    root = math.isqrt(x)
    if x - root * root > root:
        root += 1
    return min(root, 65535) if x < 1 << 32 else root


def gain(noise):
    if noise <= 2:
        return tables.GAINS[noise]
    bits = noise.bit_length()
    value, slope, curve = tables.GAINS[4 * bits - 6 : 4 * bits - 3]
    t = (noise << 11 >> bits) & 0x3FF
    return value + ((((curve * t >> 5) + (slope << 5)) * t + (1 << 14)) >> 15)


def log(x):
    x <<= 3
    if x < 2:
        return 0
    bits = x.bit_length() - 1
    fraction = ((x - (1 << bits)) << 16) >> bits
    i, place = fraction >> 9, fraction & 511
    curve = tables.LOG[i] + ((tables.LOG[i + 1] - tables.LOG[i]) * place >> 16)
    return ((45426 * ((bits << 16) + fraction + curve) + 32768 >> 16) * 64 + 32768) >> 16


def test_the_tables_keep_the_sums_within_32_bits():
    rising, falling, start = [], [], 0
    for bins in tables.MEL_COUNTS:
        slope = tables.MEL_WEIGHTS[start : start + bins]
        rising.append(sum(slope))
        falling.append(4096 * bins - sum(slope))
        start += bins
    assert start == len(tables.MEL_WEIGHTS)
    assert max(f + r for f, r in zip(falling, rising[1:], strict=False)) <= 13.9 * 4096
    assert max(tables.MEL_COUNTS) == 15


@settings(max_examples=30, deadline=None)
@given(st.lists(energy, min_size=236, max_size=236))
@example([(1 << 31) - 1] * 236)
def test_filterbank_sums_the_triangles(energies):
    expected, start, carried = [], 0, 0
    for bins in tables.MEL_COUNTS:
        slope = list(zip(energies[start : start + bins], tables.MEL_WEIGHTS[start : start + bins], strict=True))
        expected.append(carried + sum(e * w for e, w in slope))
        carried = sum(e * (4096 - w) for e, w in slope)
        start += bins
    out = words([0] * 40)
    mel.filterbank(array("I", energies), tables.MEL_WEIGHTS, tables.MEL_COUNTS, out)
    assert list(out) == list(words(expected[1:]))


@settings(max_examples=150, deadline=None)
@given(sums, st.integers(0, 15))
@example(EDGES, 0)
@example((HALVES * 3)[:40], 0)
@example([x * x + d for x in range(65520, 65540) for d in (0, -1)], 0)
@example([(1 << 47) - 1 - i * i * i for i in range(40)], 3)
def test_root_rounds_as_the_reference_does(values, shift):
    out = words(values)
    mel.root(out, mel.roots(), shift, out)
    assert list(out)[:40] == [rounded_root(value) >> shift for value in values]


def test_root_of_every_leading_digit():
    """All 3 * 2^14 leading digits, followed by nothing or by ones: where the guess is most wrong."""
    guesses, out = mel.roots(), array("I", bytes(160))
    for start in range(1 << 14, 1 << 16, 20):
        values = [((start + i) << 30) - ones for i in range(20) for ones in (0, 1)]
        mel.root(words(values), guesses, 0, out)
        assert list(out) == [rounded_root(value) for value in values]


@settings(max_examples=60, deadline=None)
@given(signals, estimates)
def test_denoise_equals_64_bit_arithmetic(signal, noise):
    heard, tracked = array("I", signal), array("I", noise)
    mel.denoise(heard, tracked)
    for i, (x, before) in enumerate(zip(signal, noise, strict=True)):
        rate = 983 if i % 2 else 409
        now = x << 10 & 0xFFFFFFFF
        mean = now * rate + before * (16384 - rate) >> 14
        assert tracked[i] == mean
        assert heard[i] == max((now - min(mean, now)) >> 10, x * 819 >> 14)


def test_gain_is_never_negative_and_never_above_its_bound():
    """Each of the 1024 places on each octave of the noise: all values the gain can take."""
    places = set(range(2048)) | {((1024 | t) << bits - 11) + 1 for bits in range(12, 33) for t in range(1024)}
    assert min(map(gain, places)) == 0
    assert max(map(gain, places)) == 32636


@settings(max_examples=60, deadline=None)
@given(signals, estimates)
@example([(1 << 22) - 1] * 40, [0] * 40)
@example(list(range(40)), list(range(40)))
def test_equalise_equals_64_bit_arithmetic(signal, noise):
    signal = [x & (1 << 22) - 1 for x in signal]
    heard = array("I", signal)
    mel.equalise(heard, array("I", noise), tables.GAINS, mel.lengths())
    for x, y, before in zip(signal, heard, noise, strict=True):
        ratio = x * gain(before) >> 6
        assert y == (ratio * ratio >> 20 if ratio < 8192 else (ratio >> 6) - 64)


def test_logarithm_equals_64_bit_arithmetic():
    """Every small value, and each octave in steps: a wrong bit in the 16th place shows in one value of a thousand."""
    steps = [(1 << bits) + (i << bits >> 11) for bits in range(12, 25) for i in range(1 << 11)]
    values = [*range(1 << 12), *steps, *((1 << 25) - 1 - i for i in range(40))]
    bits, out = mel.lengths(), array("H", bytes(80))
    for start in range(0, len(values) - 39, 40):
        signal = values[start : start + 40]
        mel.logarithm(array("I", signal), tables.LOG, out, bits)
        assert list(out) == [log(x) for x in signal]
    assert max(out) == 1242  # of the largest signals, which come last


def test_quantize_is_what_the_models_declare_for_every_value():
    out = array("b", bytes(65536))
    mel.quantize(array("H", range(65536)), out, 65536)
    for raw, feature in enumerate(out):
        exact = raw * 1275 / 3328  # raw / 25.6 floats, of 26/255 each
        assert feature == min(127, round(exact) - 128)
        assert exact % 1 != 0.5 or feature == 127  # so the way of rounding halves cannot matter


def test_quantize_differs_from_esphomes_by_one_at_most():
    """ESPHome divides by 666 where the models' scale says 665.6."""
    out = array("b", bytes(1243))
    mel.quantize(array("H", range(1243)), out, 1243)
    differences = [min(127, (raw * 256 + 333) // 666 - 128) - feature for raw, feature in enumerate(out)]
    assert (min(differences), max(differences)) == (0, 1)
    assert sum(differences) == 282
