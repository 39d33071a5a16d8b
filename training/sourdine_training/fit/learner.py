"""The vectors that learn, and one step of it: AdamW (arXiv:1711.05101) by hand, on one vector of everything."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sourdine_training.net import graph
from sourdine_training.net.options import Options, VerifierOptions
from sourdine_training.net.stack import BANDS, reach
from sourdine_training.net.weights import Weights

BETAS = 0.9, 0.999
EPSILON = 1e-7
EDGES = 125.0, 7500.0  # Hz, of the bands
NORM = 2.0  # longer gradients are cut to it
VECTORS = ("theta", "first", "second", "mean", "statistics", "ranges")


class Learner:
    """A net that learns.

    net   sizes
    loss  (logits, batch as tensors, caution) -> (loss, part, part)
    skip  frames at a window's start that no step looks at
    """

    def __init__(
        self, net: Options | VerifierOptions, loss: Callable, decay: float, average: float, seed: int, skip: int = 0
    ):
        tf = tensorflow()
        self._tf, self._net, self._loss, self._skip = tf, net, loss, skip
        self._decay, self._average = decay, average
        self.layout = graph.Layout(net.stack())
        theta, statistics, ranges = self.layout.start(np.random.default_rng([seed, 0]))
        zeros = np.zeros_like(theta)
        start = (theta, zeros, zeros, theta, statistics, ranges)
        self.vectors = {name: tf.Variable(tf.constant(value)) for name, value in zip(VECTORS, start, strict=True)}
        self._decayed = tf.constant(self.layout.decayed())
        self._steps = {int8: tf.function(self._graph(int8), autograph=False) for int8 in (False, True)}

    def learn(self, step: int, batch: dict[str, np.ndarray], rate: float, caution: float, int8: bool) -> list[float]:
        """One step, counted from 0; returns loss and its two parts."""
        tf = self._tf
        tensors = {name: tf.constant(value) for name, value in batch.items()}
        done = [tf.constant(value, tf.float32) for value in (step + 1, rate, caution)]
        return [float(each) for each in self._steps[int8](tensors, *done)]

    def weights(self) -> Weights:
        """The moving average, folded."""
        v = self.state()
        return self.layout.fold(self._net, v["mean"], v["statistics"], v["ranges"])

    def state(self) -> dict[str, np.ndarray]:
        return {name: vector.numpy() for name, vector in self.vectors.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        for name, vector in self.vectors.items():
            vector.assign(state[name])

    def _graph(self, int8: bool) -> Callable:
        tf = self._tf

        def run(batch, step, rate, caution):
            v = self.vectors
            x = augment(tf, graph.dequantise(batch["features"]), batch)[:, self._skip :]
            with tf.GradientTape() as tape:
                known = v["statistics"], v["ranges"]
                logits, statistics, ranges = graph.forward(self.layout, v["theta"].read_value(), *known, x, int8)
                total, *parts = self._loss(logits, batch, caution)
            slope = tape.gradient(total, v["theta"])
            slope *= tf.minimum(1.0, NORM / (tf.norm(slope) + 1e-9))
            first = v["first"].assign(BETAS[0] * v["first"] + (1 - BETAS[0]) * slope)
            second = v["second"].assign(BETAS[1] * v["second"] + (1 - BETAS[1]) * tf.square(slope))
            unbiased = first / (1 - BETAS[0] ** step), second / (1 - BETAS[1] ** step)
            move = unbiased[0] / (tf.sqrt(unbiased[1]) + EPSILON) + self._decay * self._decayed * v["theta"]
            theta = v["theta"].assign_sub(rate * move)
            keep = tf.minimum(self._average, step / (step + 10.0))  # an average over little, at first
            v["mean"].assign(keep * v["mean"] + (1 - keep) * theta)
            v["statistics"].assign(statistics)
            v["ranges"].assign(ranges)
            return (total, *parts)

        return run


def tensorflow() -> Any:
    """TensorFlow, deterministic; on a GPU it is not, for some gradients there cannot be."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        tf.config.experimental.enable_op_determinism()
    return tf


def augment(tf: Any, x: Any, batch: dict[str, Any]) -> Any:
    """Formants moved, gains and tilts added, masks silenced; x float32 [B, T, BANDS] in 0..26.

    Vocal tract length perturbation (Jaitly and Hinton 2013), on bands instead of bins.
    """
    x = tf.matmul(x, throats(tf, batch["throat"]))
    knots, at = batch["tilt"].shape[1], np.arange(BANDS) / (BANDS - 1)
    basis = np.maximum(0, 1 - np.abs(at[None] * (knots - 1) - np.arange(knots)[:, None])).astype(np.float32)
    offset = batch["gain"][:, None] + tf.matmul(batch["tilt"], basis)
    x = tf.clip_by_value(x + offset[:, None, :], 0.0, 26.0)
    return x * _kept(tf, batch["times"], x.shape[1])[:, :, None] * _kept(tf, batch["bands"], x.shape[2])[:, None, :]


def throats(tf: Any, factors: Any) -> Any:
    """[B, BANDS, BANDS], by which features are multiplied so that what was at a frequency comes to it × its factor."""
    low, high = (1127 * np.log1p(edge / 700) for edge in EDGES)
    mel = np.linspace(low, high, BANDS + 2)[1:-1]
    hertz = (700 * np.expm1(mel / 1127)).astype(np.float32)
    came = 1127 * tf.math.log1p(hertz[None] / factors[:, None] / 700)  # from there
    place = tf.clip_by_value((came - mel[0]) / (mel[1] - mel[0]), 0.0, BANDS - 1.0)
    bands = np.arange(BANDS, dtype=np.float32)
    return tf.maximum(0.0, 1.0 - tf.abs(place[:, None, :] - bands[None, :, None]))


def _kept(tf: Any, spans: Any, size: int) -> Any:
    at = tf.range(size)[None, None, :]
    hit = (at >= spans[..., :1]) & (at < spans[..., 1:])
    return 1.0 - tf.cast(tf.reduce_any(hit, 1), tf.float32)


def offset(net: Options | VerifierOptions, lead: int) -> int:
    """Frames at a window's start that the first step which has heard enough does not look at."""
    return 3 * (lead + 1) - reach(net.stack())
