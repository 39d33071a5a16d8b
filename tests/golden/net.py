"""Writes net.json, a small net of every operator and what the reference makes of it.

python tests/golden/net.py > tests/golden/net.json
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import viper

viper.install()
from nets import Net, theirs

STEPS = 30
SCALE = 26 / 255  # of features
VALID = 1


def noise(seed: int) -> list[int]:
    """Features of one step, 120 int8, as tests/portable/test_tflite.py makes them."""
    out = []
    for _ in range(120):
        seed = (seed * 75 + 74) % 65537
        out.append((seed >> 4 & 0xFF) - 128)
    return out


def weights(net: Net, random: np.random.Generator, shape: list[int], m: int, axis: int, scale_x: float) -> list[int]:
    scales = np.exp(random.uniform(-6, -5, m))
    w = net.tensor(shape, scales, data=random.integers(-127, 128, shape), axis=axis)
    return [w, net.tensor([m], scales * scale_x, data=random.integers(-900, 900, m), kind="int32")]


def ring(net: Net, name: str, new: int, row: list[int], old: int, scale: float, zero: int) -> int:
    """Keep the last `old` rows in a variable; returns the tensor of those and the new ones."""
    n = 3 if row == [1, 40] else 1
    handle, before = net.handle(name), net.tensor([1, old, *row], scale, zero)
    both, after = net.tensor([1, old + n, *row], scale, zero), net.tensor([1, old, *row], scale, zero)
    net.op("READ_VARIABLE", [handle], [before])
    net.op("CONCATENATION", [before, new], [both], axis=1)
    bounds = net.constant(0, n, 0, 0), net.constant(0, 0, 0, 0), net.constant(1, 1, 1, 1)
    net.op("STRIDED_SLICE", [both, *bounds], [after], beginMask=13, endMask=15)
    net.op("ASSIGN_VARIABLE", [handle, after], [])
    return both


def small_net() -> bytes:
    random = np.random.default_rng(1)
    net = Net()
    x, tall = net.tensor([1, 3, 40], SCALE, -128), net.tensor([1, 3, 1, 40], SCALE, -128)
    net.op("CALL_ONCE", [], [], initSubgraphIndex=1)
    net.op("RESHAPE", [x, net.constant(1, 3, 1, 40)], [tall])
    plain = {"padding": VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    first = net.tensor([1, 1, 1, 12], 0.3, -128)
    window = ring(net, "a", tall, [1, 40], 2, SCALE, -128)
    net.op(
        "CONV_2D",
        [window, *weights(net, random, [12, 5, 1, 40], 12, 0, SCALE)],
        [first],
        **{**plain, "strideH": 3, "fusedActivationFunction": 1},
    )
    window = ring(net, "b", first, [1, 12], 6, 0.3, -128)
    halves = [net.tensor([1, 7, 1, n], 0.3, -128) for n in (8, 4)]
    net.op("SPLIT_V", [window, net.constant(8, 4), net.constant(3)], halves, numSplits=2)
    mixed = []
    for half, channels, taps in ((halves[0], 8, 3), (halves[1], 4, 7)):
        cut = net.tensor([1, taps, 1, channels], 0.3, -128)
        bounds = net.constant(0, 7 - taps, 0, 0), net.constant(1, 7, 1, channels), net.constant(1, 1, 1, 1)
        net.op("STRIDED_SLICE", [half, *bounds], [cut])
        mixed.append(net.tensor([1, 1, 1, channels], 0.15, 11))
        layer = weights(net, random, [1, taps, 1, channels], channels, 3, 0.3)
        net.op("DEPTHWISE_CONV_2D", [cut, *layer], [mixed[-1]], depthMultiplier=1, **plain)
    joined, second = net.tensor([1, 1, 1, 12], 0.15, 11), net.tensor([1, 1, 1, 12], 0.1, -9)
    net.op("CONCATENATION", mixed, [joined], axis=-1)
    net.op("CONV_2D", [joined, *weights(net, random, [12, 1, 1, 12], 12, 0, 0.15)], [second], **plain)
    gain = net.tensor([12], 0.02, 3, data=random.integers(-128, 128, 12))
    scaled, residual = net.tensor([1, 1, 1, 12], 0.08, 4), net.tensor([1, 1, 1, 12], 0.12, -128)
    net.op("MUL", [second, gain], [scaled])
    net.op("ADD", [scaled, joined], [residual], fusedActivationFunction=1)
    flat, logit = net.tensor([1, 12], 0.12, -128), net.tensor([1, 1], 0.12, 20)
    net.op("RESHAPE", [residual, net.constant(-1, 12)], [flat])
    net.op("FULLY_CONNECTED", [flat, *weights(net, random, [1, 12], 1, 0, 0.12)], [logit])
    sigmoid, y = net.tensor([1, 1], 1 / 256, -128), net.tensor([1, 1], 1 / 256, 0, kind="uint8")
    net.op("LOGISTIC", [logit], [sigmoid])
    net.op("QUANTIZE", [sigmoid], [y])
    net.graph()
    for name, shape, value in (("a", [1, 2, 1, 40], -128), ("b", [1, 6, 1, 12], range(-100, -28))):
        data = np.resize(np.asarray(value, np.int8), shape)
        start = net.tensor(shape, SCALE if name == "a" else 0.3, -128, data=data)
        net.op("ASSIGN_VARIABLE", [net.handle(name), start], [])
    return net.build([x], [y])


if __name__ == "__main__":
    model = small_net()
    steps = [[np.array(noise(seed), np.int8).reshape(1, 3, 40)] for seed in range(STEPS)]
    golden = {
        "what": "a net of every operator (base64 of the .tflite) and its score after each step of noise 0, 1, ...",
        "source": "tflite-micro 0.dev20261023182759; written by net.py beside this file",
        "scores": [int(out[0][0, 0]) for out in theirs(model, *steps)],
        "model": base64.b64encode(model).decode(),
    }
    print(json.dumps(golden, indent=0))
