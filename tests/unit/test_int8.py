"""The net's kernels, each against its plain definition; run with the chip's 32 bits by conftest's checker."""

from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nets import Net, theirs
from sourdine import int8, quantize

LIFT = int8.LIFT
MOST = int8.TAPS_MAX


def table(*numbers):
    return array("i", numbers)


def layer(kernel, x, w, bias, n, m, windows, step):
    """The kernel's accumulators for inputs and weights given as value + 128, unlifted."""
    at = len(x) + 3 & ~3
    arena, weights = bytearray(at + 4 * windows * m), bytearray(4 * m + len(w))
    arena[: len(x)] = x
    weights[: 4 * m] = (np.asarray(bias, np.int64) + LIFT).astype("<i4").tobytes()
    weights[4 * m :] = w
    kernel(arena, weights, table(0, step, windows, n, m, 4 * m, 0, at))
    return np.frombuffer(bytes(arena[at:]), "<i4").astype(np.int64).reshape(windows, m) - LIFT


def signed(data):
    return np.frombuffer(bytes(data), np.uint8).astype(np.int64) - 128


@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 3), st.integers(1, 9), st.randoms(use_true_random=False))
def test_dense_is_the_sum_of_products(n, m, windows, step, random):
    x = random.randbytes(n + step * (windows - 1))
    w = random.randbytes(n * m)
    bias = [random.randrange(-(1 << 20), 1 << 20) for _ in range(m)]
    got = layer(int8.dense, x, w, bias, n, m, windows, step)
    for i in range(windows):
        # The caller folds the sum of weights into the bias; the kernel corrects for the weights' 128 only.
        inputs = np.frombuffer(x[i * step : i * step + n], np.uint8).astype(np.int64)
        assert (got[i] == signed(w).reshape(m, n) @ inputs + bias).all()


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("weight", [0, 255])
def test_dense_stays_in_32_bits_at_its_largest(value, weight):
    """The largest layer at its extremes, with the bias that plan.py would still allow."""
    bias = LIFT - 1 - MOST * 255 * 128
    for b in (bias, -bias):
        got = layer(int8.dense, bytes([value]) * MOST, bytes([weight]) * MOST, [b], MOST, 1, 1, MOST)
        assert got[0][0] == MOST * value * (weight - 128) + b


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 3), st.randoms(use_true_random=False))
def test_depthwise_keeps_channels_apart(n, m, windows, random):
    x, w = random.randbytes((n + windows - 1) * m), random.randbytes(n * m)
    bias = [random.randrange(-(1 << 20), 1 << 20) for _ in range(m)]
    got = layer(int8.depthwise, x, w, bias, n, m, windows, m)
    rows = np.frombuffer(x, np.uint8).astype(np.int64).reshape(-1, m)
    for i in range(windows):
        assert (got[i] == (rows[i : i + n] * signed(w).reshape(n, m)).sum(0) + bias).all()


def requantised(values, multiplier, shift, zero=0, low=0, high=255):
    at = len(values) * 4
    arena, weights = bytearray(at + len(values)), bytearray(8)
    arena[:at] = (np.asarray(values, np.int64) + LIFT).astype("<i4").tobytes()
    weights[:4] = int(multiplier).to_bytes(4, "little")
    weights[4] = 32 + shift if shift > 0 else -shift
    int8.requantise(arena, weights, table(0, len(values), 1, 0, 4, at, zero, low, high, LIFT))
    return list(arena[at:])


@settings(max_examples=400)
@given(
    st.one_of(
        st.integers(-LIFT + 1, LIFT - 1), st.integers(0, 29).flatmap(lambda k: st.integers(-(3 << k), 3 << k))
    ).filter(lambda a: abs(a) < LIFT),
    st.one_of(st.integers(1 << 30, (1 << 31) - 1), st.sampled_from([0, 1 << 30, (1 << 31) - 1, 0x7FFF8000])),
    st.integers(-30, 0),
    st.integers(0, 255),
)
def test_requantise_rounds_twice(a, multiplier, shift, zero):
    expected = quantize.multiply(a, multiplier, shift) + zero
    assert requantised([a], multiplier, shift, zero) == [min(max(expected, 0), 255)]


@given(st.integers(1, 15), st.integers(1 << 30, (1 << 31) - 1), st.data())
def test_requantise_shifts_left_too(left, multiplier, data):
    a = data.draw(st.integers(-(LIFT >> left) + 1, (LIFT >> left) - 1))
    expected = quantize.multiply(a, multiplier, left) + 100
    assert requantised([a], multiplier, left, 100) == [min(max(expected, 0), 255)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_rounding_is_the_one_of_tflite_micro(seed, bias):
    """Accumulators at and beside every quarter of an output step, as large as they get.

    Rounding once, or the scales' product to float32, would differ in some of these outputs.
    """
    random = np.random.default_rng(seed)
    m, n = 900, 1100
    scale_x, scale_w = np.exp(random.uniform([-4, -12], [1, -5])).astype(np.float32).astype(float)
    scale_y = float(np.float32(scale_x * scale_w * n * 255))
    targets = np.round((np.arange(m) / 4 - 112) * scale_y / (scale_x * scale_w)).astype(int) + np.resize([-1, 0, 1], m)
    coarse = np.round(targets / 255).astype(int)  # inputs of 255, and one of 1, reach any target
    weights = np.zeros((m, n + 1), int)
    weights[:, :n] = np.sign(coarse)[:, None] * (abs(coarse)[:, None] // n + (np.arange(n) < abs(coarse)[:, None] % n))
    weights[:, n] = targets - 255 * coarse
    net = Net()
    x, y = net.tensor([1, n + 1], scale_x, -128), net.tensor([1, m], scale_y, 3)
    inputs = [x, net.tensor(weights.shape, scale_w, data=weights)]
    if bias:
        inputs.append(net.tensor([m], scale_x * scale_w, data=np.zeros(m), kind="int32"))
    net.op("FULLY_CONNECTED", inputs, [y])
    data = net.build([x], [y])
    codes = np.full((1, n + 1), 127, np.int8)
    codes[0, n] = -127
    expected = theirs(data, [codes])
    assert len(np.unique(expected)) > 200
    values = [quantize.multiply(int(a), *product(scale_x, scale_w, scale_y)) + 3 for a in targets]
    assert np.array_equal(np.clip(values, -128, 127), np.ravel(expected))


def product(*scales):
    return quantize.product(*(quantize.scale(int(np.float32(scale).view(np.uint32))) for scale in scales))


@given(st.data())
def test_move_copies_runs_and_nothing_else(data):
    size, count = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    steps = [data.draw(st.integers(size, 16)) for _ in range(2)]
    source, gap = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 8))
    target = source + steps[0] * count + gap
    before = bytes(data.draw(st.randoms(use_true_random=False)).randbytes(target + steps[1] * count + 8))
    arena = bytearray(before)
    int8.move(arena, b"", table(1, source, steps[0], target, steps[1], size, count))
    expected = bytearray(before)
    for i in range(count):
        run = before[source + i * steps[0] : source + i * steps[0] + size]
        expected[target + i * steps[1] : target + i * steps[1] + size] = run
    assert arena == expected


def test_several_moves_happen_in_order():
    arena = bytearray(range(12))
    int8.move(arena, b"", table(2, 0, 4, 4, 4, 4, 1, 4, 4, 8, 4, 4, 1))
    assert arena == bytes([0, 1, 2, 3] * 3)


def test_fill_writes_each_run():
    arena = bytearray(8)
    int8.fill(arena, b"", table(2, 1, 2, 200, 5, 3, 7))
    assert arena == bytes([0, 200, 200, 0, 0, 7, 7, 7])


def test_take_makes_int8_unsigned():
    arena = bytearray(258)
    int8.take(arena, array("b", range(-128, 128)), table(1, 256))
    assert arena == bytes([0, *range(256), 0])


def test_lookup_reads_its_table():
    arena, weights = bytearray([0, 255, 7, 0, 0, 0]), bytes(3) + bytes(range(255, -1, -1))
    int8.lookup(arena, weights, table(0, 3, 3, 3))
    assert arena[3:] == bytes([255, 0, 248])


def test_pack_lifts_weights_and_sums_them():
    rows = np.array([[-128, 5, 0], [127, 127, -1]], np.int8)
    for steps, w in (((1, 3), rows), ((2, 1), rows.T)):
        weights = bytearray(8) + bytearray(w.tobytes())
        int8.pack(weights, weights, table(8, 0, 3, 2, *steps))
        assert bytes(weights[8:]) == (w.astype(int) + 128).astype(np.uint8).tobytes()
        assert np.frombuffer(bytes(weights[:8]), "<i4").tolist() == (rows.astype(int) + 128).sum(1).tolist()
