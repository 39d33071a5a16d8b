"""The folded weights as TensorFlow modules: what streaming means, for the nets and their scores to be held to.

Built of the operators that microWakeWord's models use (CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, CONCATENATION,
STRIDED_SLICE, SPLIT_V, RESHAPE, and variables), on [1, T, 1, C]. Each layer that looks back keeps a ring of what it
heard, as kahrendt/microWakeWord's stream layer does.
"""

from typing import Any

import numpy as np

from sourdine_training.net.stack import BANDS, STEP, Conv, Head, Layer, Mix
from sourdine_training.net.weights import Weights


def stream(weights: Weights) -> Any:
    """A spotter as tf.Module: step(float32 [1, 3, 40] in 0..26) -> logit [1, 1]; reset(); .rings, zero at first."""
    import tensorflow as tf

    class Stream(tf.Module):
        def __init__(self):
            super().__init__()
            self.rings = {}
            width = BANDS
            for i, layer in enumerate(weights.stack):
                if layer.span > layer.stride:
                    shape = (1, layer.span - layer.stride, 1, width)
                    self.rings[str(i)] = tf.Variable(tf.zeros(shape), trainable=False, name=f"ring{i}")
                width = layer.width

        @tf.function(input_signature=[tf.TensorSpec((1, STEP, BANDS))], autograph=False)
        def step(self, features):
            x = tf.reshape(features, (1, STEP, 1, BANDS))
            for i, layer in enumerate(weights.stack):
                if (ring := self.rings.get(str(i))) is not None:
                    x = tf.concat([ring, x], 1)
                    ring.assign(x[:, layer.stride :])
                x = _apply(tf, layer, i, weights.arrays, x)
            return x

        def reset(self):
            for ring in self.rings.values():
                ring.assign(tf.zeros_like(ring))

    return Stream()


def whole(weights: Weights, frames: int) -> Any:
    """A net without state as tf.Module: __call__(float32 [1, frames, 40] in 0..26) -> logit [1, 1]."""
    import tensorflow as tf

    class Whole(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, frames, BANDS))], autograph=False)
        def __call__(self, features):
            x = tf.reshape(features, (1, frames, 1, BANDS))
            for i, layer in enumerate(weights.stack):
                x = _apply(tf, layer, i, weights.arrays, x)
            return x

    return Whole()


def _apply(tf: Any, layer: Layer, i: int, arrays: dict[str, np.ndarray], x: Any) -> Any:
    if isinstance(layer, Mix):
        groups = tf.split(x, layer.groups, -1) if len(layer.kernels) > 1 else [x]
        parts = []
        for j, group in enumerate(groups):
            w = arrays[f"{i}.w{j}"][:, None, :, None]
            recent = group[:, layer.span - len(w) :] if len(w) < layer.span else group
            strides = [1, layer.stride, layer.stride, 1]
            parts.append(tf.nn.depthwise_conv2d(recent, w, strides, "VALID"))
        return parts[0] if len(parts) == 1 else tf.concat(parts, -1)
    w, b = arrays[f"{i}.w"], arrays[f"{i}.b"]
    if isinstance(layer, Head):
        return tf.matmul(tf.reshape(x, (1, w.size)), w.reshape(-1, 1)) + b
    if isinstance(layer, Conv):
        w = w.reshape(layer.frames, 1, BANDS, layer.filters)
    else:
        w = w.reshape(1, 1, layer.inputs, layer.filters)
    return tf.nn.relu(tf.nn.conv2d(x, w, [1, layer.stride, 1, 1], "VALID") + b)
