"""Where a net fires and should not: the hard set of the next round."""

from typing import Any

import numpy as np

from sourdine_training.fit.feed import Hard
from sourdine_training.fit.quality import peaks, smooth
from sourdine_training.net.score import score
from sourdine_training.net.stack import STEP
from sourdine_training.net.weights import Weights

FLOOR = 0.05  # who says less is not hard


def mine(weights: Weights, pool: Any, window: int, most: int) -> Hard:
    """The `most` greatest false firings of all streams and of all windows without the word."""
    stream, frame, scores = [], [], []
    for i, each in enumerate(pool.streams):
        smoothed = smooth(score(weights, np.asarray(each.features)), window)
        at = peaks(smoothed, FLOOR)
        stream.append(np.full(len(at), i))
        frame.append(STEP * at + STEP - 1)
        scores.append(smoothed[at])
    near = np.flatnonzero(np.asarray(pool.end) < 0)
    top = np.concatenate([[], *(smooth(score(weights, pool.features[part]), window).max(1) for part in _parts(near))])
    near, top = near[top > FLOOR], top[top > FLOOR]
    stream.append(np.full(len(near), -1))
    frame.append(near)
    scores.append(top)
    joined = [np.concatenate(each) for each in (stream, frame, scores)]
    order = np.argsort(-joined[2], kind="stable")[:most]
    return Hard(
        joined[0][order].astype(np.int32), joined[1][order].astype(np.int32), joined[2][order].astype(np.float32)
    )


def _parts(indices: np.ndarray) -> list[np.ndarray]:
    return [indices[at : at + 4096] for at in range(0, len(indices), 4096)]
