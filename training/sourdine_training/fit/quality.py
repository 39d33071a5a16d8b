"""Misses at stated false accepts per hour, by the board's rule: the mean of the last probabilities against a cutoff."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sourdine_training.net.score import score
from sourdine_training.net.stack import STEP, lead
from sourdine_training.net.weights import Weights

STEPS_PER_HOUR = 3_600 * 100 / STEP
APART = 33  # steps: two firings within a second are one
HEARD = 6  # steps after the word's end that a window must hold for its word to be judged
EARLY, LATE = 10, 15  # steps around the word's end in which a firing is a hit
ORDINARY = ("speech", "babble", "tv", "music", "ambience")  # kinds of streams whose firings are false accepts per hour
NEAR = 0.1  # weight of near ones that fire: people say them seldom


@dataclass(frozen=True)
class Quality:
    """rates: false accepts/h asked for; at each the cutoff, share of words missed, share of near windows that fire.

    latency_ms: median from the word's end to the firing, at the second rate. loss: what checkpoints are chosen by,
    the mean of misses plus a quarter of the near ones that fire.
    """

    rates: tuple[float, ...]
    cutoffs: tuple[float, ...]
    misses: tuple[float, ...]
    near: tuple[float, ...]
    latency_ms: float
    hours: float

    @property
    def loss(self) -> float:
        return float(np.mean(self.misses) + NEAR * np.mean(self.near))


def smooth(probabilities: np.ndarray, window: int) -> np.ndarray:
    """The mean of the last `window` steps, along the last axis; 0 for steps that are not there."""
    out = np.cumsum(probabilities, -1, dtype=np.float64)
    out[..., window:] = out[..., window:] - out[..., :-window].copy()
    return (out / window).astype(np.float32)


def peaks(scores: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """Steps at which a stream's scores fire: the greatest first, each silencing its neighbours for a second."""
    best = np.maximum.reduceat(
        scores, np.arange(0, len(scores), APART)
    )  # one candidate a second, so that few are sorted
    at = np.array(
        [APART * i + int(np.argmax(scores[APART * i : APART * (i + 1)])) for i in np.flatnonzero(best > floor)]
    )
    found: list[int] = []
    taken = np.zeros(len(scores) + 2 * APART, bool)
    for step in at[np.argsort(-scores[at], kind="stable")] if len(at) else ():
        if not taken[step + APART]:
            found.append(int(step))
            taken[step + 1 : step + 2 * APART] = True
    return np.array(found, int)


def measure(weights: Weights, pool: Any, window: int, rates: tuple[float, ...], int8: bool = False) -> Quality:
    """On a pool's words, near windows and ordinary streams. Raises ValueError if it has no word whose end can be judged."""
    firings, hours = [], 0.0
    for stream in (each for each in pool.streams if each.kind in ORDINARY):
        scores = smooth(score(weights, np.asarray(stream.features), int8), window)
        firings.append(scores[peaks(scores)])
        hours += len(scores) / STEPS_PER_HOUR
    firing = np.sort(np.concatenate([*firings, [0.0]]))[::-1]
    cutoffs = np.interp(np.array(rates) * hours, np.arange(len(firing)) + 0.5, firing)

    ends, steps = np.asarray(pool.end, int), pool.features.shape[1] // STEP
    word = np.flatnonzero((ends // STEP >= lead(weights.stack)) & (ends // STEP + HEARD < steps))
    if not len(word):
        raise ValueError("no word of the pool ends where it can be judged")
    scores = smooth(score(weights, pool.features[word], int8), window)
    since = np.arange(steps)[None] - ends[word, None] // STEP
    scores = np.where((since >= -EARLY) & (since <= LATE), scores, 0)
    hits = scores.max(1)[:, None] > cutoffs
    first = np.argmax(scores > cutoffs[0], 1)[hits[:, 0]]
    late = STEP * first + STEP - 1 - ends[word][hits[:, 0]]
    others = np.flatnonzero(ends < 0)
    near = smooth(score(weights, pool.features[others], int8), window).max(1) if len(others) else np.zeros(1)
    return Quality(
        rates,
        tuple(map(float, cutoffs)),
        tuple(map(float, 1 - hits.mean(0))),
        tuple(float((near > cutoff).mean()) for cutoff in cutoffs),
        float(np.median(late) * 10) if len(late) else float("nan"),
        hours,
    )
