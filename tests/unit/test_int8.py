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
    """The kernel's accumulators for inputs and weights given as value + 128, unlifted; w: m rows of n."""
    rows = np.frombuffer(bytes(w), np.uint8).reshape(m, n)
    lanes, units, rest = m, m, ()
    if kernel is int8.dense:
        units = -(-m // int8.BLOCK)
        lanes, padded = int8.BLOCK * units, -(-n // int8.GROUP) * int8.GROUP
        full = np.zeros((lanes, padded), np.uint8)
        full[:m, :n] = rows
        packed = full.reshape(units, int8.BLOCK, padded).transpose(0, 2, 1).tobytes()
    elif kernel is int8.depthwise:
        lanes = max(m, int8.LANES)
        packed, rest = rows.T.tobytes() + b"\x55" * int8.SLACK, (m,)
    else:
        packed = rows.tobytes()
    at = len(x) + 3 & ~3  # the accumulators are what dense() reads too far
    arena, weights = bytearray(b"\xaa" * (at + 4 * windows * lanes + int8.SLACK)), bytearray(4 * lanes + len(packed))
    arena[: len(x)] = x
    weights[: 4 * lanes] = (np.resize(np.asarray(bias, np.int64), lanes) + LIFT).astype("<i4").tobytes()
    weights[4 * lanes :] = packed
    kernel(arena, weights, table(0, step, windows, n, units, 4 * lanes, 0, at, 4 * lanes, *rest))
    assert arena[:at] == x + b"\xaa" * (at - len(x))
    return np.frombuffer(bytes(arena[at : -int8.SLACK]), "<i4").astype(np.int64).reshape(windows, lanes)[:, :m] - LIFT


def signed(data):
    return np.frombuffer(bytes(data), np.uint8).astype(np.int64) - 128


@pytest.mark.parametrize("kernel", [int8.dense, int8.dot])
@given(st.integers(1, 20), st.integers(1, 36), st.integers(1, 3), st.integers(1, 9), st.randoms(use_true_random=False))
def test_dense_is_the_sum_of_products(kernel, n, m, windows, step, random):
    x = random.randbytes(n + step * (windows - 1))
    w = random.randbytes(n * m)
    bias = [random.randrange(-(1 << 20), 1 << 20) for _ in range(m)]
    got = layer(kernel, x, w, bias, n, m, windows, step)
    for i in range(windows):
        # The caller folds the sum of weights into the bias; the kernel corrects for the weights' 128 only.
        inputs = np.frombuffer(x[i * step : i * step + n], np.uint8).astype(np.int64)
        assert (got[i] == signed(w).reshape(m, n) @ inputs + bias).all()


@pytest.mark.parametrize("kernel", [int8.dense, int8.dot])
@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("weight", [0, 255])
def test_dense_stays_in_32_bits_at_its_largest(kernel, value, weight):
    """The largest layer at its extremes, with the bias that layers.py would still allow."""
    bias = LIFT - 1 - MOST * 255 * 128
    for b in (bias, -bias):
        got = layer(kernel, bytes([value]) * MOST, bytes([weight]) * MOST, [b], MOST, 1, 1, MOST)
        assert got[0][0] == MOST * value * (weight - 128) + b


@given(st.integers(1, 9), st.integers(1, 80), st.integers(1, 3), st.randoms(use_true_random=False))
def test_depthwise_keeps_channels_apart(n, m, windows, random):
    x, w = random.randbytes((n + windows - 1) * m), random.randbytes(n * m)
    bias = [random.randrange(-(1 << 20), 1 << 20) for _ in range(m)]
    got = layer(int8.depthwise, x, w, bias, n, m, windows, m)
    rows = np.frombuffer(x, np.uint8).astype(np.int64).reshape(-1, m)
    for i in range(windows):
        assert (got[i] == (rows[i : i + n] * signed(w).reshape(m, n).T).sum(0) + bias).all()


def requantised(values, multipliers, largest, zero=0):
    """Outputs, a row per window: values[window, m] under m (multiplier, shift) and their bounds."""
    windows, m = values.shape
    at = windows * m * 4
    arena, weights = bytearray(at + windows * m), bytearray(7 * m)
    arena[:at] = (values + LIFT).astype("<i4").tobytes()
    factors, *parameters = quantize.fast(multipliers, largest, zero)
    weights[: 4 * m] = array("i", [q for q, _ in multipliers]).tobytes()
    weights[4 * m : 6 * m] = array("H", factors).tobytes()
    weights[6 * m :] = bytes([32 + shift if shift > 0 else -shift for _, shift in multipliers])
    int8.requantise(arena, weights, table(0, windows, m, 4 * m, at, m, 4 * m, 0, 6 * m, *parameters, zero))
    return np.frombuffer(bytes(arena[at:]), np.uint8).reshape(windows, m)


def exact(values, multipliers, zero):
    """What TFLM gives, by integers of any size; tests below show that it is TFLM's."""
    rows = [[quantize.multiply(int(a), *multipliers[i]) + zero for i, a in enumerate(row)] for row in values]
    return np.clip(rows, 0, 255)


def beside_steps(multiplier, shift, zero, largest, random):
    """Accumulators at which the output steps, and those beside; the bound and 0, and some at random."""
    values = [0, 1, -1, largest, -largest, *random.integers(-largest, largest + 1, 20)]
    if multiplier:
        for step in range(-3 - zero, 260 - zero):
            for half in (0, 1):
                a = ((2 * step + half) << (30 - shift)) // multiplier
                values.extend((a - 2, a - 1, a, a + 1, a + 2))
    return [int(min(max(a, -largest), largest)) for a in values]


multipliers = st.one_of(st.integers(1 << 30, (1 << 31) - 1), st.sampled_from([0, 1 << 30, (1 << 31) - 1, 0x7FFF8000]))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 255), st.integers(-30, 12), st.integers(1, 29))
def test_requantise_rounds_twice_at_every_step_of_the_output(data, zero, shift, bits):
    """Channels of like scales, each at its own bound, as in a layer: the fast path and the exact one agree with TFLM."""
    random = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    pairs, largest = [], []
    for _ in range(data.draw(st.integers(1, 3))):
        pairs.append((data.draw(multipliers), max(shift + data.draw(st.integers(-3, 0)), -30)))
        bound = LIFT - 1 >> max(pairs[-1][1], 0)
        largest.append(min((1 << bits) - 1 - int(random.integers(0, 1 << bits - 1)), bound))
    columns = [beside_steps(q, s, zero, most, random) for (q, s), most in zip(pairs, largest, strict=True)]
    size = max(map(len, columns))
    values = np.array([np.resize(column, size) for column in columns], np.int64).T
    assert np.array_equal(requantised(values, pairs, largest, zero), exact(values, pairs, zero))


def test_requantise_of_a_whole_range_is_exact():
    """Every accumulator of one small layer, three scales at once: not only those at its steps."""
    pairs, largest, zero = [(1518500250, -7), (1 << 30, -8), (0x7FFFFFFF, -6)], [40_000] * 3, 37
    values = np.repeat(np.arange(-40_000, 40_001)[:, None], 3, 1)
    ours = requantised(values, pairs, largest, zero)
    assert np.array_equal(ours, exact(values, pairs, zero))
    assert len(np.unique(ours)) == 256


def test_most_outputs_are_decided_by_one_product():
    """Of layers like microWakeWord's: 64 channels, scales within a factor of four, bounds 25 times the outputs' range."""
    random = np.random.default_rng(3)
    pairs = [(int(random.integers(1 << 30, 1 << 31)), int(random.integers(-8, -6))) for _ in range(64)]
    _, _, places, near, _ = quantize.fast(pairs, [450_000] * 64, 0)
    assert places - near >= 3  # all but an eighth of those within the range


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
    size, count = data.draw(st.one_of(st.integers(1, 12), st.integers(60, 170))), data.draw(st.integers(1, 4))
    steps = [size + data.draw(st.integers(0, 5)) for _ in range(2)]
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
    arena = bytearray(30)
    int8.fill(arena, b"", table(2, 1, 2, 200, 5, 19, 7))
    assert arena == bytes([0, 200, 200, 0, 0, *[7] * 19]) + bytes(6)


def test_take_makes_int8_unsigned():
    for n in (256, 255, 3):
        arena = bytearray(258)
        int8.take(arena, array("b", range(-128, 128)), table(1, n))
        assert arena == bytes([0, *range(n)]) + bytes(257 - n)


def test_lookup_reads_its_table():
    arena, weights = bytearray([0, 255, 7, 0, 0, 0]), bytes(3) + bytes(range(255, -1, -1))
    int8.lookup(arena, weights, table(0, 3, 3, 3))
    assert arena[3:] == bytes([255, 0, 248])


def test_pack_lifts_weights_and_sums_them():
    row, steps = np.array([-128, 5, 0, 127], np.int8), table(1, 2, 3, 4, 4, 0, 0)
    source, weights = bytes(1) + np.repeat(row, 2).tobytes(), bytearray(16)
    int8.pack(source, weights, steps)
    assert weights[3::4] == bytes([0, 133, 128, 255])
    assert not any(weights[i] for i in range(16) if i % 4 != 3)
    assert list(steps[5:]) == [516, 260]


def test_pack_works_in_place():
    weights = bytearray(range(100, 140))
    int8.pack(weights, weights, table(2, 3, 2, 3, 5, 0, 0))
    assert weights == bytes(
        [value ^ 0x80 if i in (2, 5, 8, 11, 14) else value for i, value in enumerate(range(100, 140))]
    )
