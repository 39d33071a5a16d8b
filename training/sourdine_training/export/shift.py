"""The head's bias, so that the cutoff lies where steps of 1/256 are fine ones.

A net is taught to be sure, so what keeps its false accepts rare may lie above 254/255, where the next step is several
false accepts further. A bias moves every logit by the same: the order of what is heard stays, the cutoff comes to
the middle. Found on the floats; the cutoffs themselves are chosen on what is exported, afterwards.
"""

import dataclasses
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sourdine_training.export import run
from sourdine_training.export.calibrate import HIGHEST, LOOSE, Progress, false_accepts, false_of_both, hours, lowest
from sourdine_training.export.options import Options
from sourdine_training.net.score import score
from sourdine_training.net.weights import Weights
from sourdine_training.rule import Steps

FURTHEST = 10.0  # that a logit may be moved
ROUNDS = 10  # of halving what is left of that: to 0.02
SURE = 1e-7  # probabilities are so far from 0 and 1 at least: float32 tells no more


def shifted(weights: Weights, shift: float) -> Weights:
    """The same net with all its logits lower by `shift`."""
    head = f"{len(weights.stack) - 1}.b"
    ranges = weights.ranges.copy()
    ranges[-1] -= np.float32(shift)
    lower = weights.arrays[head] - np.float32(shift)
    return dataclasses.replace(weights, arrays=weights.arrays | {head: lower}, ranges=ranges)


def shifts(
    spotter: Weights,
    verifier: Weights,
    pool: Any,
    options: Options,
    progress: Progress = lambda done, total, what: None,
) -> tuple[float, float]:
    """How much lower the logits of both are to be, so that the cutoffs for options.rate come to lie near options.centre.

    pool  as of calibrate(); only its streams are heard
    """
    streams = [np.asarray(stream.features) for stream in pool.streams]
    logits = []
    for done, features in enumerate(streams):
        logits.append(_logit(score(spotter, features)))
        progress(done + 1, len(streams), "streams through the floats")
    allowed = partial(_allowed, hours(streams))
    window = sorted(options.windows)[len(options.windows) // 2]
    cutoff = int(options.centre * 255)
    low, high = -FURTHEST, FURTHEST
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        too_often = false_accepts([_codes(each, middle) for each in logits], cutoff, window) > allowed(options.rate)
        low, high = (middle, high) if too_often else (low, middle)
    codes = [_codes(each, high) for each in logits]
    asking = lowest(partial(false_accepts, codes, window=window), HIGHEST, allowed(LOOSE))
    steps = [Steps(each, asking, window) for each in codes]
    return high, _of_verifier(verifier, steps, streams, allowed(options.rate), options.centre)


class _Floats:
    """A verifier as run.Answers asks it, with logits for answers."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def step(self, features: NDArray[np.int8]) -> float:
        return float(_logit(score(self._weights, features[None]))[0])


def _of_verifier(
    verifier: Weights, steps: list[Steps], streams: list[NDArray[np.int8]], allowed: int, centre: float
) -> float:
    answers = [run.Answers(_Floats(verifier), features) for features in streams]
    said: list[float] = []

    def no(of: run.Answers, feature: int) -> bool:
        said.append(of(feature))
        return False

    for each, of in zip(steps, answers, strict=True):
        each.wakes(partial(no, of))
    cutoffs = sorted({*said})
    # The lowest of what was said that serves as a cutoff; a higher one serves, too.
    low, high = 0, len(cutoffs)
    while low < high:
        middle = (low + high) // 2
        if false_of_both(steps, answers, 1, cutoffs[middle]) > allowed:
            low = middle + 1
        else:
            high = middle
    if not cutoffs or low == 0:
        return 0.0  # whatever it says will do
    between = (cutoffs[low - 1] + cutoffs[min(low, len(cutoffs) - 1)]) / 2
    return float(np.clip(between - np.log(centre / (1 - centre)), -FURTHEST, FURTHEST))


def _allowed(of: float, rate: float) -> int:
    return int(rate * of)


def _logit(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    p = np.clip(np.asarray(probabilities, np.float64), SURE, 1 - SURE)
    return np.log(p / (1 - p))


def _codes(logits: NDArray[np.float64], shift: float) -> NDArray[np.uint8]:
    """As the exported net would say it."""
    return np.minimum(np.round(256 / (1 + np.exp(shift - logits))), 255).astype(np.uint8)
