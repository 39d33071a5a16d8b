"""The sample loops against what their docstrings say, to the edges of 32 bits."""

from array import array

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourdine import dsp, tables

int16 = st.integers(-32768, 32767)
word = st.one_of(st.integers(-(1 << 31), (1 << 31) - 1), st.sampled_from([-(1 << 31), (1 << 31) - 1, -1]))


def saturated(x):
    return min(32767, max(-32768, x))


@given(st.lists(word, max_size=40), st.integers(1, 16))
def test_unpack_shifts_right_and_saturates(words, shift):
    words = words[: len(words) & ~3]
    out = array("h", bytes(2 * len(words)))
    largest = dsp.unpack(array("i", words), out, len(words), shift)
    assert list(out) == [saturated(x >> shift) for x in words]
    assert largest == max(map(abs, out), default=0)


@given(st.lists(int16, max_size=200))
@example([-32768] * 1024)
def test_energy_is_the_mean_square_rounded_down(samples):
    expected = sum(x * x for x in samples) // len(samples) if samples else 0
    assert dsp.energy(array("h", samples), len(samples)) == expected


@given(st.lists(st.tuples(int16, int16), max_size=40), st.integers(-32768, 32767))
def test_mix_adds_what_is_scaled_and_saturates(pairs, gain_q8):
    out = array("h", [a for a, _ in pairs])
    dsp.mix(out, array("h", [b for _, b in pairs]), len(pairs), gain_q8)
    assert list(out) == [saturated(a + (b * gain_q8 >> 8)) for a, b in pairs]


@given(st.lists(int16, max_size=40))
def test_spread_says_the_same_left_and_right(samples):
    out = array("h", bytes(4 * len(samples)))
    dsp.spread(array("h", samples), out, len(samples))
    assert list(out[::2]) == list(out[1::2]) == samples


@settings(max_examples=25)
@given(st.lists(st.one_of(int16, st.sampled_from([-32768, 32767, 0, 0])), min_size=480, max_size=480))
def test_window_tapers_and_tells_the_largest_ones_bits(samples):
    out = array("h", bytes(960))
    lifted = array("H", bytes(960))
    dsp.lift(array("h", samples), lifted, 480)
    assert list(lifted) == [x + 32768 for x in samples]
    largest = dsp.window(lifted, tables.WINDOW, out, 480)
    assert list(out) == [x * w >> 12 for x, w in zip(samples, tables.WINDOW, strict=True)]
    assert largest == (1 << max(abs(y) for y in out if y != -32768).bit_length()) - 1
