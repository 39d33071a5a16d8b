"""Features → probabilities, in NumPy: as fast as TensorFlow for nets of this size, and needs none."""

import numpy as np

from sourdine_training.net import quant
from sourdine_training.net.stack import STEP, Conv, Head, Mix, lead, reach
from sourdine_training.net.weights import Weights

CHUNK = 1_536  # steps at once: what a layer makes of them stays in the cache


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
        found = np.concatenate([run(part[:, -reach(weights.stack) :])[:, -1] for part in _parts(batch)])
    else:
        found = _steps(run, weights, batch)
    return found[0] if one else found


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.float32(0.5) + np.float32(0.5) * np.tanh(x * np.float32(0.5))


def logits(weights: Weights, features: np.ndarray, int8: bool = False) -> np.ndarray:
    """[n, steps]: of the steps that have heard enough alone."""
    return _prepared(weights, int8, probabilities=False)(features)


def _steps(run, weights: Weights, batch: np.ndarray) -> np.ndarray:
    n, frames, _ = batch.shape
    steps, first, field = frames // STEP, lead(weights.stack), reach(weights.stack)
    out = np.zeros((n, steps), np.float32)
    offset = STEP * (first + 1) - field  # frames before the first logit's first
    if n > 1:
        width = max(1, CHUNK * STEP // frames)
        for at in range(0, n, width):
            if steps > first:
                out[at : at + width, first:] = run(batch[at : at + width, offset : steps * STEP])
        return out
    for at in range(first, steps, CHUNK):
        upto = min(steps, at + CHUNK)
        out[:, at:upto] = run(batch[:, STEP * (at - first) + offset : STEP * upto])
    return out


def _parts(batch: np.ndarray):
    return (batch[at : at + 64] for at in range(0, len(batch), 64))


def _prepared(weights: Weights, int8: bool, probabilities: bool = True):
    """int8 features [n, T, 40] → [n, steps]."""
    stack = weights.stack
    arrays = {name: (quant.weights(w) if int8 and ".w" in name else w) for name, w in weights.arrays.items()}
    if int8:  # the head's weights are one output's
        name = f"{len(stack) - 1}.w"
        arrays[name] = quant.weights(weights.arrays[name].reshape(-1, 1)).reshape(weights.arrays[name].shape)

    def run(features: np.ndarray) -> np.ndarray:
        x = quant.dequantise(features)
        for i, layer in enumerate(stack):
            if isinstance(layer, Conv):
                frames = (x.shape[1] - layer.frames) // layer.stride + 1
                windows = np.lib.stride_tricks.sliding_window_view(x, layer.frames, 1)[:, :: layer.stride]
                x = windows.transpose(0, 1, 3, 2).reshape(-1, layer.frames * x.shape[2]) @ arrays[f"{i}.w"]
                x = np.maximum(x + arrays[f"{i}.b"], 0).reshape(len(features), frames, layer.filters)
            elif isinstance(layer, Mix):
                x = _mix(x, layer, [arrays[f"{i}.w{j}"] for j in range(len(layer.kernels))])
            elif isinstance(layer, Head):
                count, w = x.shape[1] - layer.steps + 1, arrays[f"{i}.w"]
                x = sum(x[:, s : s + count] @ w[s] for s in range(layer.steps)) + arrays[f"{i}.b"]
            else:
                x = np.maximum(x @ arrays[f"{i}.w"] + arrays[f"{i}.b"], 0)
            if int8:
                x = quant.activations(x, *weights.ranges[i])
        return sigmoid(x) if probabilities else x

    return run


def _mix(x: np.ndarray, layer: Mix, weights: list[np.ndarray]) -> np.ndarray:
    n, length, channels = x.shape
    count = (length - layer.span) // layer.stride + 1
    out, first = np.empty((n, count, channels), np.float32), 0
    for w in weights:
        group = slice(first, first + w.shape[1])
        taps = (x[:, layer.span - len(w) + k :: layer.stride, group][:, :count] * w[k] for k in range(len(w)))
        total = next(taps)
        for tap in taps:
            total += tap
        out[..., group] = total
        first = group.stop
    return out
