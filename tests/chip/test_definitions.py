"""The plain meanings themselves, against the references' own programs: so what the kernels equal is no opinion."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from pymicro_features import MicroFrontend

from chip import hearing
from chip.definitions import int8, mel
from nets import Net, theirs
from sourdine_tools import tables

ROOT = Path(__file__).parents[2]
HOP = hearing.HOP


def reference(samples: np.ndarray) -> np.ndarray:
    frontend, rows = MicroFrontend(), []
    data = samples.astype("<i2").tobytes()
    for start in range(0, len(data) - 2 * HOP + 1, 2 * HOP):
        row = frontend.process_samples(data[start : start + 2 * HOP]).features
        rows += [row] if row else []
    return np.rint(np.array(rows) / 0.0390625).astype(int)


def sounds() -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    n = np.arange(16_000)
    return {
        "voice": hearing.sound(),
        "noise of every loudness": np.concatenate([random.normal(0, 2.0**k, 3200) for k in range(-2, 18)]),
        "clipped": random.choice([-32768, 32767], 16_000),
        "even": random.integers(-32768, 32768, 16_000),
        "clicks": np.where(n % 479 == 0, -32768, 0),
        "constant": np.repeat([-32768, 32767, 1, 0, -1], 3200),
        "sweep": 32767 * np.sin(2 * np.pi * 4000 * (n / 16_000) ** 2),
        "turns that wrap inside the FFT": np.concatenate([wrapping(turns) for turns in range(1, 128, 3)]),
    }


def wrapping(turns: int) -> np.ndarray:
    """A window of samples which, tapered and shifted up, are as large as they get and turn by quarters."""
    angle = np.arange(240) * 2 * np.pi * turns / 256 + turns
    wanted = 1023 * np.stack([np.sign(np.cos(angle)), np.sign(np.sin(angle))], axis=1).reshape(-1)
    return np.pad(np.ceil(wanted * 4096 / np.maximum(tables.window(), 1)), (0, 160))


@pytest.mark.parametrize("name", sounds())
def test_chained_definitions_are_the_microfrontend(name):
    samples = np.clip(np.rint(sounds()[name]), -32768, 32767).astype(np.int16)
    heard, expected = hearing.hear(samples, mel.bank()), reference(samples)
    assert heard.raw.shape == expected.shape
    assert np.count_nonzero(heard.raw != expected) == 0
    exact = np.rint(expected * 0.0390625 / (26 / 255)) - 128
    assert np.array_equal(heard.features, np.clip(exact, -128, 127))


def test_chained_definitions_give_the_golden_features():
    """With the tables that are deployed, on any host."""
    samples_of = runpy.run_path(str(ROOT / "tests/golden/frontend.py"))["samples_of"]
    for vector in json.loads((ROOT / "tests/golden/frontend.json").read_text())["vectors"]:
        samples = np.array(samples_of(vector["sound"]), np.int16)
        assert hearing.hear(samples).raw.tolist() == vector["raw"], vector["name"]


def outputs(acc, scales, zero, limits=(-128, 127)):
    """Requantised by the last scale of scales [x, w or several, y]."""
    x, w, y = (np.atleast_1d(np.float32(scale)).astype(float) for scale in scales)
    pairs = np.array([int8.quantised(x[0] * each / y[0]) for each in w])
    return int8.requantise(acc, pairs[:, 0], pairs[:, 1], zero, *limits)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"])
def test_accumulated_and_requantised_is_what_tflite_micro_gives(name, seed):
    random = np.random.default_rng(seed)
    n, m = int(random.integers(1, 60)), 40
    each = 1 if name == "FULLY_CONNECTED" else m
    scales = np.exp(random.uniform(-4, 0)), np.exp(random.uniform(-6, -5, each)), np.exp(random.uniform(-2, 0))
    zero_x, zero_y = (int(zero) for zero in random.integers(-128, 128, 2))
    depthwise = name == "DEPTHWISE_CONV_2D"
    w, bias = random.integers(-127, 128, (n, m) if depthwise else (m, n)), random.integers(-9000, 9000, m)
    shapes = {
        "FULLY_CONNECTED": ([1, n], [m, n], [1, m]),
        "CONV_2D": ([1, 1, 1, n], [m, 1, 1, n], [1, 1, 1, m]),
        "DEPTHWISE_CONV_2D": ([1, n, 1, m], [1, n, 1, m], [1, 1, 1, m]),
    }[name]
    net = Net()
    x, y = net.tensor(shapes[0], scales[0], zero_x), net.tensor(shapes[2], scales[2], zero_y)
    weights = net.tensor(shapes[1], scales[1], data=w.reshape(shapes[1]), axis=3 if depthwise else 0)
    constants = [weights, net.tensor([m], scales[0] * scales[1], data=bias, kind="int32")]
    plain = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    options = {} if name == "FULLY_CONNECTED" else plain | ({"depthMultiplier": 1} if depthwise else {})
    net.op(name, [x, *constants], [y], **options)
    steps = [[random.integers(-128, 128, shapes[0]).astype(np.int8)] for _ in range(50)]
    given = np.stack([step[0] for step in steps]).astype(np.int64)
    rows = (len(steps), 1, n, m) if depthwise else (len(steps), 1, n)
    accumulated = (int8.depthwise if depthwise else int8.dense)(
        given.reshape(rows), np.full(len(steps), zero_x), w[None], bias[None]
    )
    got = outputs(accumulated[:, 0], scales, zero_y)
    expected = np.stack([out[0].reshape(-1) for out in theirs(net.build([x], [y]), *steps)])
    assert np.array_equal(got, expected)
    assert len(np.unique(expected)) > 30


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["ADD", "MUL"])
def test_sums_and_products_are_tflite_micros(name, seed):
    """Every pair of inputs; seed 0 has scales that make a half of every odd product."""
    random = np.random.default_rng(seed)
    scales = np.exp(random.uniform(-3, 1, 3)) if seed else [0.25, 0.25, 4.0]
    zeros = [int(zero) for zero in random.integers(-128, 128, 3)]
    net = Net()
    a, b, y = (net.tensor([1, 64, 64], scale, zero) for scale, zero in zip(scales, zeros, strict=True))
    net.op(name, [a, b], [y])
    everything = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))).reshape(2, -1, 1, 64, 64)
    steps = list(everything.transpose(1, 0, 2, 3, 4).astype(np.int8))
    expected = np.stack([out[0] for out in theirs(net.build([a, b], [y]), *steps)])
    if name == "MUL":
        got = outputs(int8.mul(everything[0], zeros[0], everything[1], zeros[1]), scales, zeros[2])
    else:
        *parts, (multiplier, shift) = int8.starts(*np.float32(scales).astype(float).tolist())
        total = sum(int8.addend(everything[i], zeros[i], *map(np.int64, parts[i])) for i in (0, 1))
        got = int8.requantise(total, np.int64(multiplier), np.int64(shift), zeros[2], -128, 127)
    assert np.array_equal(got, expected)
