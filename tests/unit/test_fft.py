"""The FFT's kernels against kissfft's arithmetic written plainly, on cells that no sound would bring."""

from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine import fft, tables

EXTREMES = (-32768, -32767, -16384, -1, 0, 1, 16384, 32766, 32767)
cells = st.lists(st.one_of(st.sampled_from(EXTREMES), st.integers(-32768, 32767)), min_size=512, max_size=512)


def int16(x):
    return (x + 32768 & 0xFFFF) - 32768


def scaled(z, divisor):
    return tuple(int16(part * (32767 // divisor) + 16384 >> 15) for part in z)


def product(z, w):
    return int16(z[0] * w[0] - z[1] * w[1] + 16384 >> 15), int16(z[0] * w[1] + z[1] * w[0] + 16384 >> 15)


def plus(a, b):
    return int16(a[0] + b[0]), int16(a[1] + b[1])


def minus(a, b):
    return int16(a[0] - b[0]), int16(a[1] - b[1])


def turn(z):
    """-i * z"""
    return z[1], int16(-z[0])


def factor(angle):
    """e^(-i * angle), Q15"""
    return int(np.floor(0.5 + 32767 * np.cos(angle))), int(np.floor(0.5 - 32767 * np.sin(angle)))


def stage(z, m):
    """kf_bfly4 on every group of 4 * m."""
    z = list(z)
    for start in range(0, 256, 4 * m):
        for k in range(m):
            places = [start + k + m * i for i in range(4)]
            a, b, c, d = (scaled(z[place], 4) for place in places)
            b, c, d = (product(v, factor(2 * np.pi * k * i / (4 * m))) for i, v in enumerate((b, c, d), 1))
            even, odd = plus(a, c), minus(a, c)
            both, rest = plus(b, d), turn(minus(b, d))
            for place, value in zip(places, (plus(even, both), plus(odd, rest), minus(even, both), minus(odd, rest))):
                z[place] = value
    return z


def energies(z):
    """kiss_fftr's last loop, then re^2 + im^2 of bins 5..251."""
    out = {}
    for k in range(1, 129):
        a, b = scaled(z[k], 2), scaled((z[256 - k][0], int16(-z[256 - k][1])), 2)
        f = plus(a, b)
        t = product(minus(a, b), factor(np.pi * (k / 256 + 0.5)))
        out[k] = (f[0] + t[0] >> 1) ** 2 + (f[1] + t[1] >> 1) ** 2
        out[256 - k] = (f[0] - t[0] >> 1) ** 2 + (t[1] - f[1] >> 1) ** 2
    return [out[k] for k in range(5, 252)]


def complex_of(numbers):
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def biased(numbers):
    return array("H", [x + 32768 for x in numbers])


def unbiased(numbers):
    return complex_of([x - 32768 for x in numbers])


@pytest.mark.parametrize("m", [4, 16, 64])
@settings(max_examples=8, deadline=None)
@given(numbers=cells)
def test_stage_is_kissffts_butterfly(m, numbers):
    here = biased(numbers)
    factors = dict(zip((4, 16, 64), fft.twiddles(tables.SINE), strict=True))[m]
    getattr(fft, f"stage{m}")(here, factors)
    assert unbiased(here) == stage(complex_of(numbers), m)


@settings(max_examples=8, deadline=None)
@given(numbers=cells, largest=st.sampled_from([0, 1, 5, 16383, 16384, 32767]))
def test_scatter_shifts_reverses_digits_and_does_the_first_stage(numbers, largest):
    out = array("H", bytes(1024))
    shift = fft.scatter(array("h", numbers), out, fft.orders(), largest)
    assert shift == 15 - largest.bit_length()
    z = complex_of([int16(x << shift) for x in numbers])
    reversed_digits = [z[int(np.base_repr(i + 256, 4)[1:][::-1], 4)] for i in range(256)]
    assert unbiased(out) == stage(reversed_digits, 1)


@settings(max_examples=15, deadline=None)
@given(cells)
def test_spectrum_untangles_as_kissfft_does(numbers):
    out = array("I", bytes(4 * fft.BINS))
    fft.spectrum(biased(numbers), fft.untwiddles(tables.SINE), out)
    assert list(out) == energies(complex_of(numbers))


def test_twiddles_are_kissffts_to_the_last_bit():
    for m, table in zip((4, 16, 64), fft.twiddles(tables.SINE), strict=True):
        for k in range(m):
            for power in (1, 2, 3):
                here = tuple(x - 32768 for x in table[6 * k + 2 * power - 2 : 6 * k + 2 * power])
                assert here == factor(2 * np.pi * k * power / (4 * m))
    table = fft.untwiddles(tables.SINE)
    for i in range(124):
        assert (-table[2 * i], -table[2 * i + 1]) == factor(np.pi * ((i + 5) / 256 + 0.5))
