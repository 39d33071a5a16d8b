"""The spotter's training."""

from pathlib import Path
from typing import Any

import numpy as np

from sourdine_training.fit import loop, loss
from sourdine_training.fit.feed import Feed, Hard
from sourdine_training.fit.learner import Learner, offset, tensorflow
from sourdine_training.fit.mining import mine
from sourdine_training.fit.options import Options
from sourdine_training.fit.quality import measure
from sourdine_training.net import options as sizes
from sourdine_training.net.stack import lead
from sourdine_training.net.weights import Weights

ROUNDS = 3  # of mined sets that are kept


def train(
    pool: Any,
    valid: Any,
    options: Options,
    seed: int,
    folder: Path,
    progress: loop.Progress = lambda done, total, what: None,
    net: sizes.Options | None = None,
) -> loop.Trained:
    """Train a spotter on a pool, chosen on another; go on if `folder` holds a checkpoint of it.

    Raises ValueError if a pool lacks words or all else.
    """
    tf = tensorflow()
    net = net or sizes.Options()
    first = lead(net.stack())
    task = _Spotter(pool, valid, options, Feed(pool, options, first, seed))

    def wanted(logits, batch, caution):
        return loss.spotter(tf, options, logits, first, batch["end"], caution)

    learner = Learner(net, wanted, options.decay, options.average, seed, offset(net, first))
    return loop.run(task, learner, Path(folder), progress, "spotter")


class _Spotter:
    def __init__(self, pool: Any, valid: Any, options: Options, feed: Feed):
        self.options, self._pool, self._valid, self._feed = options, pool, valid, feed
        self._hard = Hard()

    def batch(self, step: int) -> dict[str, np.ndarray]:
        return self._feed.batch(step, self._hard)

    def caution(self, step: int) -> float:
        return 1 + (self.options.caution - 1) * step / self.options.steps

    def rounds(self) -> list[int]:
        return [round(share * self.options.steps) for share in self.options.mining]

    def mine(self, weights: Weights) -> None:
        found = mine(weights, self._pool, self.options.window, self.options.mined)
        self._hard = self._hard.joined(found, ROUNDS * self.options.mined)

    def measure(self, weights: Weights, int8: bool) -> tuple[float, dict[str, float]]:
        found = measure(weights, self._valid, self.options.window, self.options.rates, int8)
        at = {f"misses_{rate:g}": miss for rate, miss in zip(found.rates, found.misses, strict=True)}
        at |= {f"near_{rate:g}": near for rate, near in zip(found.rates, found.near, strict=True)}
        return found.loss, {**at, "latency_ms": found.latency_ms, "hard": float(len(self._hard.frame))}

    def state(self) -> dict[str, np.ndarray]:
        return dict(zip(("hard.stream", "hard.frame", "hard.score"), self._hard.arrays(), strict=True))

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._hard = Hard(*(state[name] for name in self.state()))
