"""The head's bias, so that the cutoff lies where steps of 1/256 are fine ones.

A net is taught to be sure, so what keeps its false accepts rare may lie above 254/255, where the next step is several
false accepts further. A bias moves every logit by the same: the order of what is heard stays, the cutoff comes to
the middle. Guessed on the floats; what is exported, and the cutoffs chosen on that, say whether to move once more.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sourdine_training.export.calibrate import Cutoffs, Heard, Progress, calibrate, false_accepts, hours, pairs
from sourdine_training.export.options import Options
from sourdine_training.export.tflite import tflite
from sourdine_training.net.score import score
from sourdine_training.net.weights import Weights

FURTHEST = 10.0  # that a logit may be moved
ROUNDS = 10  # of halving what is left of that: to 0.02
NEAR = 0.25  # of a probability: so far from the centre steps are still fine
TRIES = 3
THINKS = 5  # features: about what an answer takes
FINE, MIDDLE = 8, 128  # of what is put for a verifier's logits: ±16 as 0..255
SURE = 1e-7  # probabilities are so far from 0 and 1 at least: float32 tells no more


def shifted(weights: Weights, shift: float) -> Weights:
    """The same net with all its logits lower by `shift`."""
    head = f"{len(weights.stack) - 1}.b"
    ranges = weights.ranges.copy()
    ranges[-1] -= np.float32(shift)
    lower = weights.arrays[head] - np.float32(shift)
    return dataclasses.replace(weights, arrays=weights.arrays | {head: lower}, ranges=ranges)


@dataclass(frozen=True)
class Settled:
    """Nets with their shifts in them, what is exported of them, and its cutoffs; of each two, the spotter's first."""

    nets: tuple[Weights, Weights]
    files: tuple[bytes, bytes]
    shifts: tuple[float, float]
    cutoffs: Cutoffs


def settled(
    spotter: Weights,
    verifier: Weights,
    windows: NDArray[np.int8] | None,
    pool: Any,
    options: Options,
    progress: Progress = lambda done, total, what: None,
) -> Settled:
    """Shift, export and calibrate, until the cutoffs for options.rate lie near options.centre, or TRIES times.

    windows  as of tflite(); pool as of calibrate()
    """
    first, second = shifts(spotter, verifier, pool, options, progress)
    for tries in range(1, TRIES + 1):
        nets = shifted(spotter, first), shifted(verifier, second)
        files = tflite(nets[0], windows), tflite(nets[1], windows)
        cutoffs = calibrate(files[0], pool, options, files[1], progress)
        off = _off(cutoffs.alone.spotter, options.centre), _off(cutoffs.both and cutoffs.both.verifier, options.centre)
        if tries == TRIES or off == (0, 0):
            return Settled(nets, files, (first, second), cutoffs)
        first, second = _bounded(first + off[0]), _bounded(second + off[1])
    raise AssertionError("the last try returns")


def _off(cutoff: int | None, centre: float) -> float:
    """How much too high the logits are, if the cutoff, 0..255, is far from the centre; 1 means that every answer serves."""
    if cutoff is None or cutoff <= 1 or abs(cutoff / 255 - centre) < NEAR:
        return 0.0
    return float(_logit(np.float32((cutoff - 0.5) / 255)) - _logit(np.float32(centre)))


def _bounded(shift: float) -> float:
    return min(max(shift, -FURTHEST), FURTHEST)


def shifts(
    spotter: Weights,
    verifier: Weights,
    pool: Any,
    options: Options,
    progress: Progress = lambda done, total, what: None,
) -> tuple[float, float]:
    """How much lower the logits of both are to be, so that the cutoffs for options.rate come to lie near options.centre.

    pool  as of calibrate()
    """
    streams = [np.asarray(stream.features) for stream in pool.streams]
    allowed = int(options.rate * hours(streams))
    window = sorted(options.windows)[len(options.windows) // 2]
    cutoff = int(options.centre * 255)
    logits = [_logit(score(spotter, features)) for features in streams]
    low, high = -FURTHEST, FURTHEST
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        too_often = false_accepts([_codes(each, middle) for each in logits], cutoff, window) > allowed
        low, high = (middle, high) if too_often else (low, middle)

    def say(features: NDArray[np.int8]) -> NDArray[np.uint8]:
        return _codes(_logit(score(spotter, features)), high)

    heard = Heard(say, say, pool, options, THINKS, progress)
    best = pairs(heard, window, options, _Floats(verifier), THINKS, progress).get(options.rate)
    if best is None or best.verifier <= 1:  # no answer of it serves, or every one
        return high, 0.0
    at = (best.verifier - 0.5 - MIDDLE) / FINE
    return high, _bounded(at - float(_logit(np.float32(options.centre))))


class _Floats:
    """A verifier as run.Answers asks it. Its answers are logits, FINE steps to each."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def step(self, features: NDArray[np.int8]) -> int:
        logit = float(_logit(score(self._weights, features[None]))[0])
        return int(np.clip(round(FINE * logit + MIDDLE), 0, 255))


def _logit(probabilities: NDArray[np.float32] | np.float32) -> NDArray[np.float64]:
    p = np.clip(np.asarray(probabilities, np.float64), SURE, 1 - SURE)
    return np.log(p / (1 - p))


def _codes(logits: NDArray[np.float64], shift: float) -> NDArray[np.uint8]:
    """As the exported net would say it."""
    return np.minimum(np.round(256 / (1 + np.exp(shift - logits))), 255).astype(np.uint8)
