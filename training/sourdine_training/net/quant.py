"""What int8 does to a number, with the scales that TensorFlow's converter takes.

Weights: per output channel, symmetric, -127..127. Activations: per tensor, -128..127, zero exact (Jacob et al.,
arXiv:1712.05877). NumPy here; graph.py does the same in TensorFlow, with gradients passed straight through.
"""

import numpy as np

FULL = 26.0  # what 255 steps of a feature mean: the frontend's int8 has scale 26 / 255 and zero point -128


def dequantise(features: np.ndarray) -> np.ndarray:
    """Features int8 → float32, 0..26."""
    return (features.astype(np.float32) + np.float32(128)) * np.float32(FULL / 255)


def weight_scale(w: np.ndarray) -> np.ndarray:
    """The scale of each output channel (last axis)."""
    return np.maximum(np.abs(w).reshape(-1, w.shape[-1]).max(0), 1e-8) / np.float32(127)


def weights(w: np.ndarray) -> np.ndarray:
    """Each as near as int8 comes."""
    scale = weight_scale(w)
    return np.round(w / scale) * scale


def activation_scale(low: float, high: float) -> tuple[np.float32, np.float32]:
    """(scale, zero point) of a tensor whose values lie in low..high."""
    low, high = min(low, 0.0), max(high, 0.0, low + 1e-6)
    scale = np.float32((high - low) / 255)
    return scale, np.float32(np.round(-128 - low / scale))


def activations(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Each as near as int8 comes."""
    scale, zero = activation_scale(low, high)
    return (np.clip(np.round(x / scale) + zero, -128, 127) - zero) * scale
