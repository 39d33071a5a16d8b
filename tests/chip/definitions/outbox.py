"""What outbox.copy() means, over batches: its docstring defines it."""

import numpy as np


def copy(slot: np.ndarray, at: np.ndarray, samples: np.ndarray, skip: np.ndarray, count: np.ndarray) -> np.ndarray:
    """slot[at : at + count] = samples[skip : skip + count], for each row."""
    place = np.arange(slot.shape[1])[None] - at[:, None]
    taken = np.take_along_axis(samples, np.clip(place + skip[:, None], 0, samples.shape[1] - 1), axis=1)
    return np.where((place >= 0) & (place < count[:, None]), taken, slot)
