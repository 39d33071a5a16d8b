"""The verifier's training, on the moments at which the spotter fires.

The more often a first stage is wrong in one way, the more the second sees of it (successive refinement, arXiv:
2304.03416): its positives are the words that got through, its negatives what got through beside them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sourdine_training.fit import loop, loss
from sourdine_training.fit.feed import masks
from sourdine_training.fit.learner import Learner, tensorflow
from sourdine_training.fit.options import VerifierOptions
from sourdine_training.fit.quality import EARLY, LATE, peaks, smooth
from sourdine_training.net import options as sizes
from sourdine_training.net.options import VERIFIER_FRAMES
from sourdine_training.net.score import score
from sourdine_training.net.stack import BANDS, STEP
from sourdine_training.net.weights import Weights

WINDOW = 3  # steps: as the spotter's decision
FEWEST = 200  # false firings to learn from; the cutoff falls until there are so many
LOWEST = 1e-4


@dataclass(frozen=True)
class Firings:
    """Moments at which a spotter fired. stream -1: in window `index`, else index = stream; frame: the last heard."""

    stream: np.ndarray
    index: np.ndarray
    frame: np.ndarray
    label: np.ndarray  # 1 where it was the word

    @classmethod
    def of(cls, spotter: Weights, pool: Any, cutoff: float, window: int = WINDOW) -> "Firings":
        """Where the mean of `window` probabilities rises above the cutoff, of each window and each loud second.

        The first such step, as on the board, for words and all else alike: or the moment would tell them apart.
        """
        found: list[tuple[int, int, int, int]] = []
        ends = np.asarray(pool.end, int)
        for at in range(0, len(ends), 4096):
            scores = smooth(score(spotter, pool.features[at : at + 4096]), window)
            since = np.arange(scores.shape[1])[None] - ends[at : at + 4096, None] // STEP
            word = ends[at : at + 4096] >= 0
            fires = (scores > cutoff) & ~(word[:, None] & ((since < -EARLY) | (since > LATE)))
            for i in np.flatnonzero(fires.any(1)):
                found.append((-1, at + int(i), STEP * int(np.argmax(fires[i])) + STEP - 1, int(word[i])))
        for j, each in enumerate(pool.streams):
            scores = smooth(score(spotter, np.asarray(each.features)), window)
            rises = np.flatnonzero(np.diff(scores > cutoff, prepend=False) & (scores > cutoff))
            starts = rises[np.searchsorted(rises, peaks(scores, cutoff), side="right") - 1]
            found += [(j, j, STEP * int(step) + STEP - 1, 0) for step in starts]
        table = np.array(found, np.int32).reshape(-1, 4)
        return cls(*table.T)


def cut(pool: Any, firings: Firings, row: int, shift: int = 0) -> np.ndarray:
    """The features int8 [150, 40] that end at a firing, or `shift` frames later, as far as there are any."""
    source = (
        pool.features[firings.index[row]] if firings.stream[row] < 0 else pool.streams[firings.stream[row]].features
    )
    last = min(max(int(firings.frame[row]) + shift + 1, VERIFIER_FRAMES), len(source))
    return np.asarray(source[last - VERIFIER_FRAMES : last])


def train_verifier(
    spotter: Weights,
    pool: Any,
    valid: Any,
    options: VerifierOptions,
    seed: int,
    folder: Path,
    progress: loop.Progress = lambda done, total, what: None,
    net: sizes.VerifierOptions | None = None,
) -> loop.Trained:
    """Train a verifier for a spotter; go on if `folder` holds a checkpoint of it. Raises ValueError if nothing fires."""
    tf = tensorflow()
    task = _Verifier(spotter, pool, valid, options, seed)

    def wanted(logits, batch, caution):
        return loss.verifier(tf, options.smoothing, logits, batch["label"], caution)

    learner = Learner(net or sizes.VerifierOptions(), wanted, options.decay, options.average, seed)
    return loop.run(task, learner, Path(folder), progress, "verifier")


class _Verifier:
    def __init__(self, spotter: Weights, pool: Any, valid: Any, options: VerifierOptions, seed: int):
        self.options, self._pool, self._seed = options, pool, seed
        cutoff = options.cutoff
        self._firings = Firings.of(spotter, pool, cutoff)
        while (self._firings.label == 0).sum() < FEWEST and cutoff > LOWEST:  # a spotter too good to learn from
            cutoff /= 3
            self._firings = Firings.of(spotter, pool, cutoff)
        self._words, self._others = (np.flatnonzero(self._firings.label == each) for each in (1, 0))
        if not len(self._words) or not len(self._others):
            raise ValueError("the spotter fires at no word, or at nothing else, even at the lowest cutoff")
        judged = Firings.of(spotter, valid, cutoff)
        self._judged = np.stack([cut(valid, judged, row) for row in range(len(judged.label))])
        self._labels = judged.label.astype(bool)
        self._any = np.flatnonzero(np.asarray(pool.end) < 0)

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """features int8 [B, 150, BANDS]; label float32 [B]; masks; gains."""
        o = self.options
        rng = np.random.default_rng([self._seed, 2, step])
        words = round(o.batch * o.positives)
        easy = round(o.batch * o.easy) if len(self._any) else 0
        rows = [*rng.choice(self._words, words), *rng.choice(self._others, o.batch - words - easy)]
        x = np.empty((o.batch, VERIFIER_FRAMES, BANDS), np.int8)
        for i, row in enumerate(rows):
            x[i] = cut(self._pool, self._firings, row, int(rng.integers(o.jitter[0], o.jitter[1] + 1)))
        for i in range(len(rows), o.batch):
            start = int(rng.integers(self._pool.features.shape[1] - VERIFIER_FRAMES + 1))
            x[i] = self._pool.features[rng.choice(self._any), start : start + VERIFIER_FRAMES]
        label = (np.arange(o.batch) < words).astype(np.float32)
        return {"features": x, "label": label} | masks(rng, o, o.batch, VERIFIER_FRAMES)

    def caution(self, step: int) -> float:
        return 1 + (self.options.caution - 1) * step / self.options.steps

    def rounds(self) -> list[int]:
        return []

    def mine(self, weights: Weights) -> None:
        """It has its hard ones from the spotter."""

    def measure(self, weights: Weights, int8: bool) -> tuple[float, dict[str, float]]:
        """Words refused when it lets through 20, 10 and 5 % of the rest."""
        scores = score(weights, self._judged, int8)
        words, rest = scores[self._labels], np.sort(scores[~self._labels])[::-1]
        if not len(words) or not len(rest):
            return 0.0, {"misses_10%": 0.0}
        shares = {"20%": 0.2, "10%": 0.1, "5%": 0.05}
        misses = {
            f"misses_{name}": float((words <= rest[int(share * len(rest))]).mean()) for name, share in shares.items()
        }
        return float(np.mean(list(misses.values()))), misses

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing changes while it trains."""
