"""Cutoffs, by the false accepts per hour that they allow: for the spotter alone, and for both stages together.

Decided by the firmware's own rule (rule.py) on the exported nets' own answers. A cutoff serves a rate if it, and
each one above it, woke no more often in the streams without the word. A spotter that is loud all the time never comes
to rest, so it wakes nobody: its cutoff serves no rate either.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sourdine.wake import REST
from sourdine_training.export import run
from sourdine_training.export.options import Options
from sourdine_training.net.stack import BANDS, STEP
from sourdine_training.rule import Steps

HIGHEST = 254  # of a spotter's cutoffs: no mean of uint8 exceeds 255
FRAME_S = 0.01
LOWER = 12  # rates for which a cutoff of the spotter is tried with the second stage
FURTHER = (5.0, 10.0)  # rates at which the cutoffs of both stages are compared, beside those of the table
LOOSE = 120.0  # false accepts per hour of the spotter at the lowest of them: how often the second stage may be asked
DEAF = 0.1  # share of the streams above the cutoff, from which on the spotter hears little else than itself
CONTEXT = 4  # steps after a word's end, and those of the window, that a clip must last: the latest that is trained for
SAME = 0.005  # of words missed: so much less does not pay for a longer window, which costs time
Progress = Callable[[int, int, str], None]
Probabilities = Callable[[NDArray[np.int8]], NDArray[np.uint8]]  # of features [T, 40] → [steps]


@dataclass(frozen=True)
class Choice:
    """Cutoffs 0..255 and what they did on the pool. verifier -1: without a second stage."""

    spotter: int
    verifier: int
    misses: float  # share of the words
    rate: float  # false accepts per hour


@dataclass(frozen=True)
class Cutoffs:
    """window: sliding_window_size. alone: what was chosen; its rate is above the wanted one if no cutoff serves it.
    both: None without a second stage, or if no pair of cutoffs serves the rate. Tables: rate allowed → choice, without those that none serves.

    slices  features that the second stage thinks; 0 without one
    """

    window: int
    alone: Choice
    both: Choice | None
    hours: float
    words: int
    slices: int = 0
    alone_table: dict[float, Choice] = field(default_factory=dict)
    both_table: dict[float, Choice] = field(default_factory=dict)

    @property
    def helps(self) -> bool:
        """Whether the second stage keeps the wanted rate and misses no more, over all rates of the tables: at a single
        low one two or three false accepts would decide. A rate that only the two together serve counts for them."""
        if self.both is None:
            return False
        alone = [self.alone_table[rate].misses if rate in self.alone_table else 1.0 for rate in self.both_table]
        return sum(choice.misses for choice in self.both_table.values()) <= sum(alone)


def calibrate(
    spotter: bytes,
    pool: Any,
    options: Options,
    verifier: bytes | None = None,
    progress: Progress = lambda done, total, what: None,
) -> Cutoffs:
    """pool: features int8 [n, T, 40], end [n] (-1 without the word), streams with .features int8 [t, 40].

    Raises ValueError for a pool without words or streams.
    """
    slices = 0
    if verifier is not None:
        slices = run.on_board(verifier, np.empty((0, 0, BANDS), np.int8), verifier=True)[1]["slices"]
    heard = Heard(run.Reference(spotter).steps, partial(run.probabilities, spotter), pool, options, slices, progress)
    windows = {size: _alone(heard, size, options) for size in options.windows}
    fewest = min(choice.misses for choice in (tables[options.rate] for tables in windows.values()))
    window = min(size for size, table in windows.items() if table[options.rate].misses <= fewest + SAME)
    table = windows[window]
    both: dict[float, Choice] = {}
    if verifier is not None:
        both = pairs(heard, window, options, run.Reference(verifier), slices, progress)
    return Cutoffs(
        window=window,
        alone=table[options.rate],
        both=both.get(options.rate),
        hours=heard.hours,
        words=len(heard.words),
        slices=slices,
        alone_table=_served(table, options),
        both_table=_served(both, options),
    )


def _served(table: dict[float, Choice], options: Options) -> dict[float, Choice]:
    """The choices that keep to their rates; a net may wake too often even at its highest cutoff."""
    return {rate: table[rate] for rate in options.rates if rate in table and table[rate].rate <= rate}


class Heard:
    """What the spotter says of a pool's words, one after another, and of its streams, each from a fresh start."""

    def __init__(
        self, further: Probabilities, fresh: Probabilities, pool: Any, options: Options, slices: int, progress: Progress
    ) -> None:
        self.options = options
        ends, frames = np.asarray(pool.end, int), np.shape(pool.features)[1]
        time = STEP * (max(options.windows) + CONTEXT) + slices  # to answer in, before the clip is over
        rows = np.flatnonzero((ends >= 0) & (ends + time <= frames))
        if not len(rows) or not pool.streams:
            raise ValueError("there is nothing to calibrate on: it takes words and streams without them")
        self.ends = ends[rows]
        self.features: list[NDArray[np.int8]] = [np.asarray(pool.features[int(row)]) for row in rows]
        self.words: list[NDArray[np.uint8]] = []
        for done, features in enumerate(self.features):  # one after another: what was heard before is ignored
            self.words.append(further(features))
            progress(done + 1, len(rows), "words through the spotter")
        self.streams = [np.asarray(stream.features) for stream in pool.streams]
        self.steps = []
        for done, stream in enumerate(self.streams):
            self.steps.append(fresh(stream))
            progress(done + 1, len(self.streams), "streams through the spotter")
        self.hours = hours(self.streams)

    def allowed(self, rate: float) -> int:
        """False accepts in these streams at such a rate per hour."""
        return int(rate * self.hours)

    def missed(self, cutoff: int, window: int) -> float:
        return float(np.mean([not self.hits(i, Steps(p, cutoff, window)) for i, p in enumerate(self.words)]))

    def hits(self, i: int, steps: Steps) -> bool:
        return any(self.near(i, wake) for wake in steps.wakes(rest=0))

    def near(self, i: int, feature: int) -> bool:
        return -self.options.early < feature - self.ends[i] <= self.options.late


def _alone(heard: Heard, window: int, options: Options) -> dict[float, Choice]:
    """Rate → the lowest cutoff that serves it."""
    found: dict[float, Choice] = {}
    count = functools.cache(partial(false_accepts, heard.steps, window=window))
    for rate in sorted({options.rate, *options.rates}):
        cutoff = lowest(count, HIGHEST, heard.allowed(rate))
        found[rate] = Choice(cutoff, -1, heard.missed(cutoff, window), count(cutoff) / heard.hours)
    return found


def hours(streams: Sequence[NDArray[Any]]) -> float:
    """Of features."""
    return sum(len(stream) for stream in streams) * FRAME_S / 3600


def false_accepts(streams: Sequence[NDArray[np.uint8]], cutoff: int, window: int) -> int:
    """Wakes in a spotter's probabilities [steps] at this cutoff. One that is deaf would wake each second."""
    wakes = sum(len(Steps(steps, cutoff, window).wakes()) for steps in streams)
    return max(wakes, _seconds_above(streams, cutoff))


def _seconds_above(streams: Sequence[NDArray[np.uint8]], cutoff: int) -> int:
    """Of the streams, if it is so much of them that the spotter is deaf; else 0."""
    above = sum(int((steps >= cutoff).sum()) for steps in streams)
    return above * STEP // REST if above > DEAF * sum(map(len, streams)) else 0


def lowest(count: Callable[[int], int], highest: int, allowed: int) -> int:
    """The last cutoff, from the highest down, until one that counts more than is allowed."""
    cutoff = highest + 1
    while cutoff > 1 and count(cutoff - 1) <= allowed:
        cutoff -= 1
    return min(cutoff, highest)


def pairs(
    heard: Heard, window: int, options: Options, reference: Any, slices: int, progress: Progress
) -> dict[float, Choice]:
    """Rate → the pair that keeps it; the spotter's cutoff is one for all rates, those of FURTHER included: the one that
    misses fewest words over all of them, for at a single low rate two or three false accepts would decide. Of equals it
    is the one whose spotter asks least. Without `options.rate`, if no pair keeps that.

    reference  the second stage, as run.Reference
    """
    words = [run.Answers(reference, features) for features in heard.features]
    streams = [run.Answers(reference, features) for features in heard.streams]
    candidates = _candidates(heard, window)
    rates = sorted({options.rate, *options.rates, *FURTHER})
    best: dict[float, Choice] = {}
    least = (True, float("inf"))
    for done, spotter in enumerate(candidates):
        said = np.array([_best_answer(heard, i, spotter, window, words[i], slices) for i in range(len(words))])
        steps = [Steps(each, spotter, window) for each in heard.steps]
        count = functools.cache(partial(false_of_both, steps, streams, slices))
        found: dict[float, Choice] = {}
        for rate in rates:
            cutoff = lowest(count, 255, heard.allowed(rate))
            choice = Choice(spotter, cutoff, float(np.mean(said < cutoff)), count(cutoff) / heard.hours)
            if choice.rate <= rate:  # else not even the highest cutoff of the second stage serves
                found[rate] = choice
        misses = sum(found[rate].misses if rate in found else 1.0 for rate in rates)
        if (standing := (options.rate not in found, misses)) < least:
            best, least = found, standing
        progress(done + 1, len(candidates), "cutoffs of both stages")
    return best


def false_of_both(steps: list[Steps], streams: list[run.Answers], slices: int, cutoff: int) -> int:
    """Wakes in the streams at this cutoff of the second stage."""
    pairs = zip(steps, streams, strict=True)
    return sum(len(each.wakes(partial(_yes, answers, cutoff), slices)) for each, answers in pairs)


def _yes(answers: run.Answers, cutoff: int, feature: int) -> bool:
    return answers(feature) >= cutoff


def _candidates(heard: Heard, window: int) -> list[int]:
    """The spotter's cutoffs to try, the highest first: those that serve the rates up to LOOSE, if it is not deaf there."""
    count = functools.cache(partial(false_accepts, heard.steps, window=window))
    rates = np.geomspace(heard.options.rate, max(LOOSE, heard.options.rate), LOWER)
    cutoffs = {lowest(count, HIGHEST, heard.allowed(rate)) for rate in rates}
    return sorted((each for each in cutoffs if not _seconds_above(heard.steps, each)), reverse=True)


def _best_answer(heard: Heard, i: int, spotter: int, window: int, answers: run.Answers, slices: int) -> int:
    """The greatest cutoff of the second stage at which word i still wakes; -1 if it never asks in time.

    Until the first yes, all happens as if each answer were no: so one pass tells for every cutoff.
    """
    given = [-1]

    def no(feature: int) -> bool:
        if heard.near(i, feature + slices):
            given.append(answers(feature))
        return False

    longer = np.concatenate([heard.words[i], np.zeros(slices // STEP + 1, np.uint8)])  # to hear the last answer
    Steps(longer, spotter, window).wakes(no, slices, rest=0)
    return max(given)
