"""Batches from a pool. Batch `step` is a pure function of seed, step, and the hard set: nothing to store for a resume."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sourdine_training.fit.options import Options
from sourdine_training.net.stack import BANDS, STEP

ENDING = 15  # frames at a word's end that no time mask hides: without them it is another word
KNOTS = 5  # between which a tilt is straight
QUIETER = 100  # of int8's steps at most that a mixed sound is quieter; a step is 0.1 of a feature's unit


@dataclass(frozen=True)
class Hard:
    """Where a net fired and should not: `stream` -1 means window `frame`, else frame `frame` of that stream."""

    stream: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    frame: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    score: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def joined(self, other: "Hard", most: int) -> "Hard":
        """Both, the newer first where they meet, and at most so many: the oldest go."""
        parts = [np.concatenate(pair) for pair in zip(other.arrays(), self.arrays(), strict=True)]
        place = np.stack(
            [parts[0], parts[1] // np.where(parts[0] < 0, 1, 50)]
        )  # half a second of a stream is one place
        first = np.sort(np.unique(place, axis=1, return_index=True)[1])[:most]
        return Hard(*(part[first] for part in parts))

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.stream, self.frame, self.score


class Feed:
    """Windows of a pool, cropped, shifted and mixed for the spotter.

    Raises ValueError if the pool holds no positives or nothing that is not one.
    """

    def __init__(self, pool: Any, options: Options, lead: int, seed: int):
        self._pool, self._options, self._seed, self._lead = pool, options, seed, lead
        ends = np.asarray(pool.end)
        self._positives, self._near = np.flatnonzero(ends >= 0), np.flatnonzero(ends < 0)
        self._ends = ends
        self.streams = [np.asanyarray(each.features) for each in pool.streams]
        lengths = np.array([len(each) for each in self.streams], float)
        lengths[lengths < options.crop] = 0
        kinds = [each.kind for each in pool.streams]
        share = np.zeros(len(kinds))
        for kind in set(
            kinds
        ):  # a kind counts with the root of its length: an hour of music does not drown minutes of speech
            of = np.array([each == kind for each in kinds])
            if total := lengths[of].sum():
                share[of] = lengths[of] / np.sqrt(total)
        self._share = np.cumsum(share / share.sum()) if share.sum() else share
        if not len(self._positives) or not (len(self._near) or share.sum()):
            raise ValueError("a pool without positives, or with nothing else")

    def batch(self, step: int, hard: Hard) -> dict[str, np.ndarray]:
        """features int8 [B, crop, BANDS]; end int32 [B] (step of the word's end, -1: none); masks; offsets."""
        o = self._options
        rng = np.random.default_rng([self._seed, 1, step])
        counts = self._counts(len(hard.frame))
        x = np.empty((o.batch, o.crop, BANDS), np.int8)
        end = np.full(o.batch, -1, np.int32)
        row = 0
        for index in rng.choice(self._positives, counts[0]):
            latest = max(0, int(self._ends[index]) - STEP * (self._lead + o.before + o.window - 1))
            start = min(int(rng.integers(self._slack(index) + 1)), latest)
            x[row], end[row] = self._window(index, start), (int(self._ends[index]) - start) // STEP
            row += 1
        for index in rng.choice(self._near, counts[1]) if counts[1] else ():
            x[row] = self._window(index, int(rng.integers(self._slack(index) + 1)))
            row += 1
        for _ in range(counts[2]):
            x[row] = self._stream(rng)
            row += 1
        for index in rng.integers(len(hard.frame), size=counts[3]) if counts[3] else ():
            x[row] = self._hard(int(hard.stream[index]), int(hard.frame[index]), rng)
            row += 1
        if o.mix and self._share.any():
            for row in np.flatnonzero(rng.random(o.batch) < o.mix):
                x[row] = mixed(x[row], self._stream(rng), int(rng.integers(QUIETER)))
        made = masks(rng, o, o.batch, o.crop)
        spans, last = made["times"], STEP * end[:, None]
        spans[(last >= 0) & (spans[..., 0] <= last) & (spans[..., 1] > last - ENDING)] = 0
        return {"features": x, "end": end} | made

    def _counts(self, mined: int) -> list[int]:
        """How many positives, near, of streams, and hard ones."""
        o = self._options
        hard = round(o.batch * o.hard) if mined else 0
        near = round(o.batch * o.near) if len(self._near) else 0
        positives = round(o.batch * o.positives)
        rest = o.batch - positives - near - hard
        if not self._share.any():  # no streams: near ones take their place
            near, rest = near + rest, 0
        return [positives, near, rest, hard]

    def _slack(self, index: int) -> int:
        return self._pool.features.shape[1] - self._options.crop

    def _window(self, index: int, start: int) -> np.ndarray:
        return self._pool.features[index, start : start + self._options.crop]

    def _stream(self, rng: np.random.Generator) -> np.ndarray:
        stream = self.streams[int(np.searchsorted(self._share, rng.random(), side="right"))]
        start = int(rng.integers(len(stream) - self._options.crop + 1))
        return stream[start : start + self._options.crop]

    def _hard(self, stream: int, frame: int, rng: np.random.Generator) -> np.ndarray:
        """The place of a false firing, anywhere among the steps that are judged."""
        crop = self._options.crop
        if stream < 0:
            return self._window(frame, int(rng.integers(self._slack(frame) + 1)))
        start = frame - int(rng.integers(STEP * self._lead, crop))
        start = min(max(0, start), len(self.streams[stream]) - crop)
        return self.streams[stream][start : start + crop]


def mixed(x: np.ndarray, other: np.ndarray, quieter: int) -> np.ndarray:
    """Two sounds at once, the other so many of int8's steps below: nearly, for the louder one is heard."""
    return np.maximum(x, other.astype(np.int16) - quieter).astype(np.int8)


def masks(rng: np.random.Generator, options: Any, count: int, frames: int) -> dict[str, np.ndarray]:
    """How each window is altered: where SpecAugment (arXiv:1904.08779) masks, [count, masks, first and one past the last];
    gain [count]; tilt [count, KNOTS]; throat [count], by which frequencies are multiplied.
    """
    return {
        "times": _spans(rng, count, options.time_masks, options.time_mask, frames),
        "bands": _spans(rng, count, options.band_masks, options.band_mask, BANDS),
        "gain": (options.gain * rng.standard_normal(count)).astype(np.float32),
        "tilt": (options.tilt * rng.standard_normal((count, KNOTS))).astype(np.float32),
        "throat": np.exp(options.throat * rng.standard_normal(count)).astype(np.float32),
    }


def _spans(rng: np.random.Generator, count: int, masks: int, widest: int, size: int) -> np.ndarray:
    """Half of the masks are empty."""
    width = rng.integers(0, widest + 1, (count, masks)) * rng.integers(0, 2, (count, masks))
    first = rng.integers(0, size - width + 1)
    return np.stack([first, first + width], -1).astype(np.int32)
