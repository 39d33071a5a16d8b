"""The statistics of a judgement: intervals, and thresholds that never see what they are scored on."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
Z = 1.959963984540054  # of the normal distribution for it


def wilson(hits: float, trials: int) -> tuple[float, float]:
    """Interval of a share, by Wilson's score (1927); (0, 1) of no trials. Hits may be a mean over ways to count."""
    if not trials:
        return 0.0, 1.0
    share, square = hits / trials, Z * Z / trials
    middle = (share + square / 2) / (1 + square)
    reach = Z / (1 + square) * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    low = 0.0 if hits == 0 else max(0.0, middle - reach)
    high = 1.0 if hits == trials else min(1.0, middle + reach)
    return low, high


def poisson(events: float, hours: float) -> tuple[float, float]:
    """Exact interval of a rate per hour (Garwood, 1936); of none in N hours (0, 3/N), which is the one-sided bound."""
    from scipy.stats import chi2

    if hours <= 0:
        return 0.0, math.inf
    if events == 0:
        return 0.0, -math.log(1 - CONFIDENCE) / hours
    tail = (1 - CONFIDENCE) / 2
    return float(chi2.ppf(tail, 2 * events)) / 2 / hours, float(chi2.ppf(1 - tail, 2 * events + 2)) / 2 / hours


def choose(false: NDArray[np.int64], hours: float, per_hour: float) -> int | None:
    """The most permissive rung that keeps to the rate, and so do all stricter ones; None when the strictest does not.

    false[i]: false accepts in these hours at rung i, most permissive first.
    """
    bad = np.flatnonzero(false > per_hour * hours + 1e-9)
    rung = int(bad[-1]) + 1 if len(bad) else 0
    return rung if rung < len(false) else None


def crossed(false: NDArray[np.int64], hours: NDArray[np.float64], per_hour: float) -> NDArray[np.float64]:
    """How much each part is scored at each rung: [parts, rungs + 1], every row of sum 1.

    The parts (an even number) are halved in every way there is; each half is scored at the rung chosen on the other
    one, so no part has a say in its own. The last column is where no rung keeps to the rate: it never wakes there.

    false  [parts, rungs] false accepts, most permissive rung first; hours: [parts]
    """
    parts, rungs = false.shape
    weights = np.zeros((parts, rungs + 1))
    halves = list(itertools.combinations(range(parts), parts // 2))
    for half in halves:
        chooses = list(half)
        rung = choose(false[chooses].sum(axis=0), float(hours[chooses].sum()), per_hour)
        scored = [part for part in range(parts) if part not in half]
        weights[scored, rungs if rung is None else rung] += 1
    return weights / weights.sum(axis=1, keepdims=True)


def apart(times: NDArray[np.float64], gap_s: float) -> NDArray[np.float64]:
    """The times without those that follow a kept one by less than the gap: one event, however often it is reported."""
    kept: list[float] = []
    for time in times:
        if not kept or time - kept[-1] >= gap_s:
            kept.append(float(time))
    return np.array(kept)
