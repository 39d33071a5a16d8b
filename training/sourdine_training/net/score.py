"""Features → probabilities, in NumPy: as fast as TensorFlow for nets of this size, and needs none."""

from collections.abc import Callable, Iterator

import numpy as np

from sourdine_training.net import quant
from sourdine_training.net.stack import STEP, Head, Layer, Mix, lead, reach
from sourdine_training.net.weights import Weights

CHUNK = 1_536  # steps at once: what a layer makes of them stays in the cache
Run = Callable[[np.ndarray], np.ndarray]


def score(weights: Weights, features: np.ndarray, int8: bool = False) -> np.ndarray:
    """Probabilities float32 [n, T // 3] of a spotter over features int8 [n, T, 40], or [T // 3] over a stream [T, 40].

    Step t ends with frame 3t + 2; steps before the net has heard all that it looks at are 0. A verifier answers
    once, over the last frames that it looks at: [n], or a number. int8: as the quantised net would answer,
    nearly (needs ranges).
    """
    one = features.ndim == 2
    batch = features[None] if one else features
    run = _prepared(weights, int8)
    if weights.kind == "verifier":
        parts = [batch[at : at + 16, -reach(weights.stack) :] for at in range(0, len(batch), 16)]
        found = np.concatenate([run(each)[:, -1] for each in parts])
    else:
        found = _steps(run, weights, batch)
    return found[0] if one else found


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.float32(0.5) + np.float32(0.5) * np.tanh(x * np.float32(0.5))


def logits(weights: Weights, features: np.ndarray, int8: bool = False) -> np.ndarray:
    """[n, steps]: of the steps that have heard enough alone."""
    return _prepared(weights, int8, probabilities=False)(features)


def _steps(run: Run, weights: Weights, batch: np.ndarray) -> np.ndarray:
    n, frames, _ = batch.shape
    steps, first = frames // STEP, lead(weights.stack)
    out = np.zeros((n, steps), np.float32)
    offset = STEP * (first + 1) - reach(weights.stack)  # frames before the first logit's first
    if steps <= first:
        return out
    width = max(1, CHUNK * STEP // frames)
    for row in range(0, n, width):
        for at in range(first, steps, CHUNK):
            upto = min(steps, at + CHUNK)
            out[row : row + width, at:upto] = run(batch[row : row + width, STEP * (at - first) + offset : STEP * upto])
    return out


def _prepared(weights: Weights, int8: bool, probabilities: bool = True) -> Run:
    """int8 features [n, T, 40] → [n, steps]. Inside, channels come first and windows last, so that loops are long."""
    stack = weights.stack
    head = f"{len(stack) - 1}.w"
    arrays = {name: (quant.weights(w) if int8 and ".w" in name else w) for name, w in weights.arrays.items()}
    if int8:  # the head's weights are one output's
        arrays[head] = quant.weights(weights.arrays[head].reshape(-1, 1)).reshape(weights.arrays[head].shape)

    def run(features: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(quant.dequantise(features).transpose(2, 1, 0))
        for i, layer in enumerate(stack):
            count = (x.shape[1] - layer.span) // layer.stride + 1
            if isinstance(layer, Mix):
                x = _mix(x, layer, count, [arrays[f"{i}.w{j}"] for j in range(len(layer.kernels))])
            else:
                rows = np.concatenate([tap.reshape(len(x), -1) for tap in _taps(x, layer.span, layer, count)])
                x = arrays[f"{i}.w"].reshape(len(rows), -1).T @ rows
                x += arrays[f"{i}.b"][:, None]
                x = x.reshape(layer.width, count, -1)
                if not isinstance(layer, Head):
                    np.maximum(x, 0, out=x)
            if int8:
                x = quant.activations(x, *weights.ranges[i])
        return sigmoid(x[0].T) if probabilities else x[0].T

    return run


def _taps(x: np.ndarray, taps: int, layer: Layer, count: int) -> Iterator[np.ndarray]:
    """What each of the newest `taps` places of a layer's reach sees at each of its `count` steps, oldest first."""
    return (x[:, k : k + layer.stride * (count - 1) + 1 : layer.stride] for k in range(layer.span - taps, layer.span))


def _mix(x: np.ndarray, layer: Mix, count: int, weights: list[np.ndarray]) -> np.ndarray:
    out, first = np.zeros((layer.channels, count, x.shape[2]), np.float32), 0
    product = np.empty_like(out)
    for w in weights:
        group = slice(first, first + w.shape[1])
        for row, tap in zip(w, _taps(x[group], len(w), layer, count), strict=True):
            np.multiply(tap, row[:, None, None], out=product[group])
            out[group] += product[group]
        first = group.stop
    return out
