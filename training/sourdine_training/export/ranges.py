"""What each layer of a net gives on windows of features: the ranges of a net that was trained without quantisation."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sourdine_training.net import quant
from sourdine_training.net.stack import Head, Mix
from sourdine_training.net.weights import Weights

WINDOWS = 64  # at once


def seen(weights: Weights, windows: NDArray[np.int8]) -> NDArray[np.float32]:
    """[layers, 2]: least and greatest output of each layer over windows int8 [n, T, 40]."""
    parts = []
    for at in range(0, len(windows), WINDOWS):
        outputs = forward(weights, quant.dequantise(np.asarray(windows[at : at + WINDOWS])))
        parts.append([(float(x.min()), float(x.max())) for x in outputs])
    bounds = np.array(parts, np.float32)
    return np.stack([bounds[:, :, 0].min(0), bounds[:, :, 1].max(0)], -1)


def forward(weights: Weights, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The output of each layer, [n, steps, channels], for features [n, T, 40] in 0..26; the last are logits."""
    outputs = []
    for i, layer in enumerate(weights.stack):
        taps = sliding_window_view(x, layer.span, 1)[:, :: layer.stride]  # [n, steps, channels, span]
        if isinstance(layer, Mix):
            edges = np.cumsum(layer.groups)[:-1]
            groups = np.split(taps, edges, 2)
            each = [
                np.einsum("ntck,kc->ntc", group[..., layer.span - kernel :], weights.arrays[f"{i}.w{j}"])
                for j, (group, kernel) in enumerate(zip(groups, layer.kernels, strict=True))
            ]
            x = np.concatenate(each, 2)
        else:
            w = weights.arrays[f"{i}.w"].reshape(layer.span, x.shape[2], -1)
            x = np.einsum("ntck,kcf->ntf", taps, w, optimize=True) + weights.arrays[f"{i}.b"]
            x = x if isinstance(layer, Head) else np.maximum(x, 0)
        outputs.append(x.astype(np.float32))
    return outputs
