"""A stack in TensorFlow, for training.

All that is learned lies in one vector, so that the optimiser, the average and a checkpoint are one array each. Two
phases: "float" normalises by batch; "int8" folds the statistics, now frozen, into the weights and rounds weights and
activations as the converter will (Jacob et al., arXiv:1712.05877), so that what is exported is what was trained.

Depthwise filters are TensorFlow's own on [B, T, 1, C] and the rest matrix products: measured three times as fast as
sums of shifted products, and twice as fast as anything under XLA.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sourdine_training.net import quant
from sourdine_training.net.options import Options, VerifierOptions
from sourdine_training.net.stack import BANDS, Conv, Head, Mix, Point, Stack
from sourdine_training.net.weights import Weights

EPSILON = 1e-3  # of the normalisation
MOMENTUM = 0.99  # of its statistics
RANGE_MOMENTUM = 0.98  # of the activations' ranges


@dataclass(frozen=True)
class Layout:
    """Where each array lies in the vectors.

    theta       weights, and per normalised layer scale and shift; the head's bias
    statistics  per normalised layer mean and variance
    """

    stack: Stack

    @cached_property
    def theta(self) -> dict[str, tuple[int, ...]]:
        shapes = {}
        for i, layer in enumerate(self.stack):
            shapes |= {f"{i}.{name}": shape for name, shape in layer.shapes.items()}
            if isinstance(layer, Conv | Point):
                shapes |= {f"{i}.scale": (layer.filters,), f"{i}.shift": (layer.filters,)}
            elif isinstance(layer, Head):
                shapes[f"{i}.b"] = (1,)
        return shapes

    @cached_property
    def statistics(self) -> dict[str, tuple[int, ...]]:
        normalised = [(i, each) for i, each in enumerate(self.stack) if isinstance(each, Conv | Point)]
        return {f"{i}.{name}": (layer.filters,) for i, layer in normalised for name in ("mean", "var")}

    def start(self, rng: np.random.Generator, prior: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(theta, statistics, ranges) before training: He's normal weights; the head's bias says `prior`."""
        theta = []
        for name, shape in self.theta.items():
            layer, kind = self.stack[int(name.split(".")[0])], name.split(".")[1]
            if kind == "scale":
                value = np.ones(shape)
            elif kind in ("shift", "b"):
                value = np.full(shape, np.log(prior / (1 - prior)) if kind == "b" else 0.0)
            else:
                inputs = np.prod(shape) if isinstance(layer, Head) else shape[0]
                gain = 1 if isinstance(layer, Head | Mix) else 2
                value = rng.normal(0, np.sqrt(gain / inputs), shape)
            theta.append(value.ravel())
        statistics = [np.full(shape, float("var" in name)) for name, shape in self.statistics.items()]
        ranges = np.full((len(self.stack), 2), np.nan, np.float32)
        return np.concatenate(theta).astype(np.float32), np.concatenate(statistics).astype(np.float32), ranges

    def decayed(self) -> np.ndarray:
        """1 for each weight, 0 for biases and scales, which AdamW leaves alone."""
        return np.concatenate([np.full(int(np.prod(s)), float(".w" in n)) for n, s in self.theta.items()]).astype("f4")

    def fold(self, options: Options | VerifierOptions, theta, statistics, ranges) -> Weights:
        """NumPy vectors → weights."""
        p, s = unpack(theta, self.theta), unpack(statistics, self.statistics)
        arrays = {name: value for name, value in p.items() if ".w" in name or name.endswith(".b")}
        for i, layer in enumerate(self.stack):
            if isinstance(layer, Conv | Point):
                factor = p[f"{i}.scale"] / np.sqrt(s[f"{i}.var"] + np.float32(EPSILON))
                arrays[f"{i}.w"] = p[f"{i}.w"] * factor
                arrays[f"{i}.b"] = p[f"{i}.shift"] - s[f"{i}.mean"] * factor
        return Weights(options, arrays, np.array(ranges))


def unpack(vector, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Named parts of a vector, NumPy's or TensorFlow's."""
    found, at = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        part = vector[at : at + size]
        found[name] = part.reshape(shape) if isinstance(vector, np.ndarray) else _tf().reshape(part, shape)
        at += size
    return found


def forward(layout: Layout, theta, statistics, ranges, x, int8: bool):
    """Features float32 [B, T, BANDS] in 0..26 → (logits [B, steps], statistics after this batch, ranges after it)."""
    tf = _tf()
    p, s = unpack(theta, layout.theta), unpack(statistics, layout.statistics)
    seen, bounds = [], []
    for i, layer in enumerate(layout.stack):
        length = (int(x.shape[1]) - layer.span) // layer.stride + 1
        if isinstance(layer, Conv | Point):
            w = p[f"{i}.w"]
            rows = _frames(tf, x, layer, length) if isinstance(layer, Conv) else tf.reshape(x, (-1, layer.inputs))
            if int8:
                factor = p[f"{i}.scale"] * tf.math.rsqrt(s[f"{i}.var"] + EPSILON)
                y = tf.matmul(rows, _rounded(tf, w * factor)) + (p[f"{i}.shift"] - s[f"{i}.mean"] * factor)
            else:
                y = tf.matmul(rows, w)
                mean, var = tf.nn.moments(y, [0])
                seen += [mean, var]
                y = (y - mean) * (p[f"{i}.scale"] * tf.math.rsqrt(var + EPSILON)) + p[f"{i}.shift"]
            x = tf.reshape(tf.nn.relu(y), (-1, length, layer.filters))
        elif isinstance(layer, Mix):
            groups = tf.split(x, layer.groups, -1) if len(layer.kernels) > 1 else [x]
            ws = [p[f"{i}.w{j}"] for j in range(len(groups))]
            parts = [_along(tf, g, w, layer, int8) for g, w in zip(groups, ws, strict=True)]
            x = parts[0] if len(parts) == 1 else tf.concat(parts, -1)
        else:
            w = p[f"{i}.w"]
            w = tf.reshape(_rounded(tf, tf.reshape(w, (-1, 1))), w.shape) if int8 else w
            x = tf.add_n([tf.linalg.matvec(x[:, k : k + length], w[k]) for k in range(layer.steps)]) + p[f"{i}.b"]
        if int8:
            x, bound = _held(tf, x, ranges[i])
            bounds.append(bound)
    if int8:
        return x, statistics, tf.stop_gradient(tf.stack(bounds))
    fresh = tf.stop_gradient(tf.concat(seen, 0))
    return x, MOMENTUM * statistics + (1 - MOMENTUM) * fresh, ranges


def dequantise(x):
    """Features int8 → float32, as quant.dequantise()."""
    tf = _tf()
    return (tf.cast(x, tf.float32) + 128.0) * (quant.FULL / 255)


def _frames(tf, x, layer: Conv, length: int):
    """[B, T, BANDS] → [B * length, frames * BANDS]: the windows of a strided convolution, stacked."""
    span = layer.stride * (length - 1)
    taps = [x[:, k : k + span + 1 : layer.stride] for k in range(layer.frames)]
    return tf.reshape(tf.concat(taps, -1), (-1, layer.frames * BANDS))


def _along(tf, x, w, layer: Mix, int8: bool):
    """A filter per channel [k, C], ending where the layer's longest ends."""
    x = x[:, layer.span - w.shape[0] :, None, :]
    w = _rounded(tf, w) if int8 else w
    return tf.nn.depthwise_conv2d(x, w[:, None, :, None], [1, layer.stride, layer.stride, 1], "VALID")[:, :, 0, :]


def _through(tf, x, rounded):
    """The rounded value, with x's gradient."""
    return x + tf.stop_gradient(rounded - x)


def _rounded(tf, w):
    """quant.weights()."""
    scale = tf.maximum(tf.reduce_max(tf.abs(w), tf.range(len(w.shape) - 1)), 1e-8) / 127.0
    return _through(tf, w, tf.round(w / scale) * scale)


def _held(tf, x, known):
    """quant.activations() in the range seen so far, this batch included; and that range. Clipped values learn nothing."""
    now = tf.stack([tf.minimum(tf.reduce_min(x), 0.0), tf.maximum(tf.reduce_max(x), 1e-6)])
    bound = tf.where(tf.math.is_nan(known), now, RANGE_MOMENTUM * known + (1 - RANGE_MOMENTUM) * now)
    low, high = tf.unstack(tf.stop_gradient(bound))
    scale = (high - low) / 255.0
    zero = tf.round(-128.0 - low / scale)
    x = tf.clip_by_value(x, (-128.0 - zero) * scale, (127.0 - zero) * scale)
    return _through(tf, x, tf.round(x / scale) * scale), bound


def _tf() -> Any:
    import tensorflow

    return tensorflow
