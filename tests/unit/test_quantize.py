"""The integers that stand for scales: equal to what doubles and floats give, and to tflite-micro's own results."""

import math
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nets import Net, ours, theirs
from sourdine import quantize
from sourdine.flatbuffer import ModelError

CODES = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)  # every int8 value
scales = st.floats(2.0**-30, 2.0**30, width=32)


def bits(scale):
    return struct.unpack("<I", struct.pack("<f", scale))[0]


def exact(scale):
    return quantize.scale(bits(scale))


def by_doubles(value):
    """The reference's QuantizeMultiplier, with CPython's doubles."""
    q, shift = math.frexp(value)
    multiplier = math.floor(q * 2**31 + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


@given(scales, scales, scales)
def test_multiplier_equals_the_one_of_doubles(x, w, y):
    assert quantize.product(exact(x), exact(w), exact(y)) == by_doubles(x * w / y)


@given(st.integers(1, (1 << 60) - 1), st.integers(1, (1 << 30) - 1))
@example((1 << 53) + 1, 2)  # halves, down and up to even
@example((1 << 53) + 3, 2)
@example((1 << 54) - 1, 2)  # and up to one bit more
def test_division_rounds_half_to_even(n, d):
    q, e = quantize.divide(n, d, 53)
    assert 1 << 52 <= q < 1 << 53
    assert math.ldexp(q, e) == n / d  # CPython rounds the quotient of integers correctly


@given(scales, st.integers(0, 255), st.sampled_from([1, 2, 3]))
def test_fused_activation_limits_equal_those_of_float32(y, zero, activation):
    def steps(value):
        return math.floor(abs(float(np.float32(value) / np.float32(y))) + 0.5)

    low = zero - (steps(-1) if activation == 2 else 0)
    high = {1: 255, 2: zero + steps(1), 3: zero + steps(6)}[activation]
    assert quantize.limits(activation, exact(y), zero) == (max(low, 0), min(high, 255))


@pytest.mark.parametrize("pattern", [0, 1, 0x7F800000, 0x7FC00000, 0x80000000 | bits(1.0), bits(1e-30), bits(1e30)])
def test_scale_that_is_not_sensible_is_refused(pattern):
    with pytest.raises(ModelError, match="scale"):
        quantize.scale(pattern)


@pytest.mark.parametrize("zero", [-128, -3, 24, 127])
@pytest.mark.parametrize("scale", [*np.logspace(-7, 0.8, 16), *2.0 ** np.arange(-9, 3, 2)])
def test_sigmoid_equals_the_reference_for_every_input(scale, zero):
    net = Net()
    x, y = net.tensor([1, 256], scale, zero), net.tensor([1, 256], 1 / 256, -128)
    net.op("LOGISTIC", [x], [y])
    data = net.build([x], [y])
    assert np.array_equal(ours(data, [CODES]), theirs(data, [CODES]))


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("seed", range(20))
def test_quantise_equals_the_reference_for_every_input(kind, seed):
    random = np.random.default_rng(seed)
    zeros = random.integers(-128, 128, 2) + [0, 128 if kind == "uint8" else 0]
    net = Net()
    x = net.tensor([1, 256], np.exp(random.uniform(-6, 3)), zeros[0])
    y = net.tensor([1, 256], np.exp(random.uniform(-6, 3)), zeros[1], kind=kind)
    net.op("QUANTIZE", [x], [y])
    data = net.build([x], [y])
    assert np.array_equal(ours(data, [CODES]), theirs(data, [CODES]))


@pytest.mark.parametrize("activation", range(4))
@pytest.mark.parametrize("name", ["ADD", "MUL"])
@pytest.mark.parametrize("seed", range(3))
def test_add_and_mul_equal_the_reference(name, activation, seed):
    """1,280 pairs each; seed 0 has equal scales, where ADD's multipliers are exactly one half."""
    random = np.random.default_rng([seed, activation])
    scales = np.exp(random.uniform(-3, 1, 3)) if seed else [0.05, 0.05, 0.11]
    zeros = random.integers(-128, 128, 3)
    net = Net()
    a, b, y = (net.tensor([1, 32, 40], scale, zero) for scale, zero in zip(scales, zeros, strict=True))
    net.op(name, [a, b], [y], fusedActivationFunction=activation)
    data = net.build([a, b], [y])
    inputs = list(random.integers(-128, 128, (2, 1, 32, 40)).astype(np.int8))
    assert np.array_equal(ours(data, inputs), theirs(data, inputs))


def test_a_sum_of_many_is_requantised_in_slices():
    random = np.random.default_rng(6)
    net = Net()
    a, b, y = (net.tensor([1, 7000], scale, zero) for scale, zero in ((0.05, 3), (0.2, -9), (0.18, 0)))
    net.op("ADD", [a, b], [y])
    data = net.build([a, b], [y])
    inputs = list(random.integers(-128, 128, (2, 1, 7000)).astype(np.int8))
    assert np.array_equal(ours(data, inputs), theirs(data, inputs))


@pytest.mark.parametrize("name", ["ADD", "MUL"])
@pytest.mark.parametrize("shape", [[40], [1, 1, 40], [1, 1, 1], [3, 40]])
def test_add_and_mul_spread_a_smaller_constant(name, shape):
    random = np.random.default_rng(5)
    net = Net()
    a, y = net.tensor([1, 3, 40], 0.1, 5), net.tensor([1, 3, 40], 0.2, -7)
    b = net.tensor(shape, 0.03, 1, data=random.integers(-128, 128, shape))
    net.op(name, [b, a], [y])
    data = net.build([a], [y])
    inputs = [random.integers(-128, 128, (1, 3, 40)).astype(np.int8)]
    assert np.array_equal(ours(data, inputs), theirs(data, inputs))
