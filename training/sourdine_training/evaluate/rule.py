"""The firmware's decision (firmware/sourdine/wake.py) over a whole recording at once, for any cutoff.

A test holds it against Wake itself.
"""

import numpy as np
from numpy.typing import NDArray

from sourdine import wake

STEP_S = wake.STEP_MS / 1000


def smooth(probabilities: NDArray[np.uint8], size: int) -> NDArray[np.int64]:
    """Sum of the last `size` probabilities at each step; before the first one there were zeros."""
    total = np.concatenate([np.zeros(size, np.int64), np.cumsum(probabilities, dtype=np.int64)])
    return total[size:] - total[:-size]


class Judged:
    """One recording's probabilities, ready to be judged at many cutoffs.

    probabilities  uint8 [n], the k-th known with feature stride * k + stride - 1
    size           of the sliding window
    verified       second stage: its answer (0..255) about the features up to each step, in which it is asked;
                   it says yes from verify_cutoff on, `lag` features later
    """

    def __init__(
        self,
        probabilities: NDArray[np.uint8],
        size: int,
        stride: int = 3,
        verified: NDArray[np.int16] | None = None,
        lag: int = 0,
    ) -> None:
        self._probabilities, self._size, self._stride = probabilities, size, stride
        self._verified, self._lag = verified, lag
        self._total = np.concatenate([[0], np.cumsum(probabilities, dtype=np.int64)])
        self._smooth = smooth(probabilities, size)
        self._most = int(self._smooth.max(initial=0))

    def wakes(self, cutoff: int, verify_cutoff: int = 0) -> list[int]:
        """Indices of the features at which a fresh Wake wakes. Cutoffs are 0..255: a manifest's times 255, rounded down."""
        if self._most <= cutoff * self._size or cutoff == 0:  # at 0 nothing is ever quiet, so the rest never ends
            return []
        stride, last = self._stride, self._stride * len(self._probabilities)
        quiet = np.concatenate([[0], np.cumsum(self._probabilities < cutoff)])  # steps
        fires = np.flatnonzero(self._smooth > cutoff * self._size)
        found, first, rest = [], 0, wake.REST - (stride - 1)
        while first < len(self._probabilities):
            at = self._woken(cutoff, verify_cutoff, fires, self._rested(quiet, first, rest), first)
            if at is None or at >= last:
                break
            found.append(at)
            first = (at + 1) // stride
            rest = wake.REST - (stride * (first + 1) - 2 - at)  # until then the newest probability is none, so quiet
        return found

    def _rested(self, quiet: NDArray[np.int64], first: int, rest: int) -> int:
        """The feature with which so many quiet ones have passed since step `first` came."""
        rest = max(rest, 1)
        steps, more = (rest - 1) // self._stride, (rest - 1) % self._stride
        step = int(np.searchsorted(quiet, quiet[first] + steps + 1)) - 1
        return self._stride * (step + 1) - 1 + more

    def _woken(self, cutoff: int, verify_cutoff: int, fires: NDArray[np.int64], ready: int, first: int) -> int | None:
        at = self._fires(cutoff, fires, ready, first)
        if self._verified is None:
            return at
        stride = self._stride
        while at is not None:
            step = (at + 1) // stride - 1
            if self._verified[step] >= verify_cutoff:
                return at + self._lag
            again = max(at + self._lag + 1, at + wake.AGAIN, stride * (step + 2) - 1)
            again += (stride - 1 - again) % stride  # only with a new probability
            at = self._fires(cutoff, fires, again, first)
        return None

    def _fires(self, cutoff: int, fires: NDArray[np.int64], ready: int, first: int) -> int | None:
        """The first feature from `ready` on at which the window, empty before step `first`, is above the cutoff."""
        step = max((ready + 1) // self._stride - 1, first)
        for k in fires[np.searchsorted(fires, step) :].tolist():
            if self._total[k + 1] - self._total[max(first, k + 1 - self._size)] > cutoff * self._size:
                return max(ready, self._stride * (k + 1) - 1)
        return None
