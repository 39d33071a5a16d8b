"""What is judged: something that hears a piece of sound once, and then says when it wakes, at any threshold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sourdine_training.evaluate import reels
from sourdine_training.evaluate.counts import apart
from sourdine_training.store import Store, key

Scores = dict[str, NDArray[Any]]  # what a detector keeps of one piece, by name

REFRACTORY_S = 2.0  # for everyone: a second wake this soon is the same one


@dataclass(frozen=True)
class Costs:
    """None where nobody knows."""

    bytes: int | None  # of the files
    arena: int | None  # bytes of working memory on the board
    macs: float | None  # multiplications per second, second stage apart
    cpu: float  # seconds of this machine per second of sound
    verifier_macs: int | None = None  # multiplications of the second stage each time it is asked


class Detector(Protocol):
    @property
    def hears(self) -> Literal["rows", "samples"]:
        """What listen() takes: int8 features [n, 40], or int16 samples."""
        ...

    @property
    def name(self) -> str: ...
    @property
    def word(self) -> str: ...
    @property
    def peer(self) -> bool:
        """Somebody else's, to compare with."""
        ...

    @property
    def key(self) -> str:
        """Changes whenever its scores could."""
        ...

    @property
    def unit(self) -> str:
        """What its makers call the threshold."""
        ...

    @property
    def ladder(self) -> tuple[float, ...]:
        """Thresholds, the most permissive first."""
        ...

    @property
    def shipped(self) -> int:
        """The rung that its makers set."""
        ...

    def listen(self, sound: NDArray[Any]) -> Scores:
        """From a fresh start."""
        ...

    @property
    def rule(self) -> str:
        """Changes whenever wakes() would find something else in the same scores."""
        ...

    def wakes(self, scores: Scores) -> list[NDArray[np.float64]]:
        """For each rung when it wakes, in seconds after the start of the piece."""
        ...

    def costs(self) -> Costs: ...


@dataclass(frozen=True)
class Wakes:
    """When a detector wakes in a reel, at every rung: three columns."""

    piece: NDArray[np.int64]
    rung: NDArray[np.int64]
    time: NDArray[np.float64]  # seconds from the piece's start

    def of(self, piece: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(rung, time) of one piece."""
        mine = self.piece == piece
        return self.rung[mine], self.time[mine]


def wakes(detector: Detector, reel: reels.Reel, store: Store) -> Wakes:
    """From the store, if the detector has heard the same before."""
    path = where(detector, reel, store)
    if not path.exists():
        rows = []
        for number, scores in enumerate(listened(detector, reel, store)):
            for rung, times in enumerate(detector.wakes(scores)):
                rows += [(number, rung, time) for time in apart(times, REFRACTORY_S)]
        with store.writing(path) as scratch:
            np.savez_compressed(scratch, wakes=np.array(rows, float).reshape(-1, 3))
    with np.load(path) as kept:
        piece, rung, time = kept["wakes"].T
        return Wakes(piece.astype(np.int64), rung.astype(np.int64), time)


def where(detector: Detector, reel: reels.Reel, store: Store) -> Path:
    """Where wakes() keeps what it found."""
    return store.path("wakes", key(1, detector.key, detector.rule, list(detector.ladder), reel.key), ".npz")


def listened(detector: Detector, reel: reels.Reel, store: Store) -> list[Scores]:
    """What the detector makes of each piece, from the store if it has heard the same before."""
    path = store.path("scores", key(detector.key, reel.key), ".npz")
    if not path.exists():
        heard = reels.hear(reel, store).rows if detector.hears == "rows" else (each for each, _ in reels.play(reel))
        found = [detector.listen(each) for each in heard]
        arrays: dict[str, NDArray[Any]] = {}
        for name in found[0]:
            arrays[name] = np.concatenate([each[name] for each in found])
            arrays[f"{name} lengths"] = np.array([len(each[name]) for each in found])
        with store.writing(path) as scratch:
            np.savez_compressed(scratch, allow_pickle=False, **arrays)
    with np.load(path) as kept:
        names = [name for name in kept.files if not name.endswith(" lengths")]
        split = {name: np.split(kept[name], np.cumsum(kept[f"{name} lengths"])[:-1]) for name in names}
        return [{name: split[name][i] for name in names} for i in range(len(reel.pieces))]
