"""What the sample loops mean, over batches: a row is a call, its values plain signed integers (int64).

Source: TFLM's microfrontend/lib/window.c for window(); the others are ours, and their docstrings define them.
"""

import numpy as np


def saturated(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -32768, 32767)


def unpack(words: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples [calls, n], and the largest of each row without its sign, 0 where n is 0."""
    out = saturated(words >> shift[:, None])
    return out, np.abs(out).max(axis=1, initial=0)


def energy(x: np.ndarray) -> np.ndarray:
    """Mean square of each row, rounded down; 0 of no samples."""
    return (x * x).sum(axis=1) // max(x.shape[1], 1)


def mix(out: np.ndarray, x: np.ndarray, gain_q8: np.ndarray) -> np.ndarray:
    return saturated(out + (x * gain_q8[:, None] >> 8))


def spread(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 2, axis=1)


def window(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """WindowProcessSamples: tapered samples, and the largest |sample| of each row.

    The reference negates in 16 bits, which leaves -32768 negative: that is never the largest.
    """
    out = x * weights >> 12
    return out, np.where(out == -32768, 0, np.abs(out)).max(axis=1, initial=0)


def lift(x: np.ndarray) -> np.ndarray:
    return x + 32768
