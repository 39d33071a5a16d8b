"""The firmware's wake rule over hours of probabilities at once: exactly sourdine.wake.Wake, without its loop.

A step of the spotter ends every STRIDE features; feature i is the i-th of the stream, 10 ms each.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sourdine.wake import AGAIN, REST

STRIDE = 3  # features of a step


def wakes(
    probabilities: ArrayLike,
    cutoff: int,
    window: int,
    verify: Callable[[int], bool] | None = None,
    slices: int = 1,
    rest: int = REST,
    stride: int = STRIDE,
) -> NDArray[np.int64]:
    """Features at which it wakes, from a fresh start.

    probabilities  uint8 [steps] of the spotter
    cutoff         of the spotter, 0..255; window: its sliding_window_size
    verify         the second stage's answer to a question at feature i: whether it says yes about the features until i,
                   itself included; None without one
    slices         features from question to answer
    rest           features that must be quiet first; 0 where the stream was heard before and nothing is ignored
    """
    return Steps(probabilities, cutoff, window, stride).wakes(verify, slices, rest)


class Steps:
    """A stream's probabilities, and what one cutoff makes of them; parameters as of wakes()."""

    def __init__(self, probabilities: ArrayLike, cutoff: int, window: int, stride: int = STRIDE) -> None:
        steps = np.asarray(probabilities, np.int64)
        self._cutoff, self._window, self._stride = cutoff, window, stride
        self._features = stride * len(steps)
        self._sums = np.concatenate([[0], np.cumsum(steps)])
        after = np.arange(1, len(steps) + 1)
        full = self._sums[after] - self._sums[np.maximum(after - window, 0)]
        self._loud = np.flatnonzero(full > cutoff * window)  # steps at which it fires, once the window is its own
        newest = np.concatenate([np.zeros(stride - 1, np.int64), np.repeat(steps, stride)])[: self._features]
        self._quiet = np.concatenate([[0], np.cumsum(newest < cutoff)])  # features before i that are quiet

    def wakes(
        self, verify: Callable[[int], bool] | None = None, slices: int = 1, rest: int = REST
    ) -> NDArray[np.int64]:
        found, since = [], -1
        while (wake := self._next_wake(since, rest, verify, slices)) is not None:
            found.append(wake)
            since, rest = wake, REST
        return np.array(found, np.int64)

    def _next_wake(self, since: int, rest: int, verify: Callable[[int], bool] | None, slices: int) -> int | None:
        """The next wake, if all until feature `since` is forgotten and so many quiet features must pass."""
        first = (since + 1) // self._stride  # step that is not forgotten
        at = self._rested(since, rest, first)
        while at is not None and (at := self._next_fire(at, first)) is not None:
            if verify is None:
                return at
            if at + slices >= self._features:
                return None
            if verify(at):
                return at + slices
            at = max(at + slices + 1, at + AGAIN)
            at += -(at + 1) % self._stride  # what was said meanwhile asks nobody: the next step does
        return None

    def _rested(self, since: int, rest: int, first: int) -> int | None:
        """The first feature at which something may be decided."""
        step = min(self._stride * (first + 1) - 1, self._features)
        before = step - since - 1  # features in which the newest probability is a forgotten one: quiet
        if rest <= (before if self._cutoff else 0):
            return step
        if self._cutoff == 0:
            return None  # nothing is quiet
        at = int(np.searchsorted(self._quiet, self._quiet[step] + rest - before)) - 1
        return at if at < self._features else None

    def _next_fire(self, at: int, first: int) -> int | None:
        """The first feature from `at` on at which it fires; the newest step is judged at `at`, however old it is."""
        step = max((at + 1) // self._stride - 1, first)
        while step < len(self._sums) - 1:
            if step - first + 1 >= self._window:  # the window is its own
                place = int(np.searchsorted(self._loud, step))
                if place == len(self._loud):
                    return None
                step = int(self._loud[place])
                break
            if self._sums[step + 1] - self._sums[first] > self._cutoff * self._window:
                break
            step += 1
        else:
            return None
        return max(at, self._stride * (step + 1) - 1)
