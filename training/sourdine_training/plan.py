"""What a run will take, said before it begins; and how far it is, while it runs.

Speeds are of one core of a server of 2023, measured; while a run is under way its own pace corrects them.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sourdine_board.mistake import Mistake
from sourdine_training.sources.recorded import PACKAGES, missing
from sourdine_training.store import Store
from sourdine_training.voices.speak import ROOM, SILENT, SOUND

if TYPE_CHECKING:
    from sourdine_training.recipe import Recipe
    from sourdine_training.voices import Saying

SPOKEN = {"kokoro": 1.2, "hibari": 40.0, "piper": 3.5, "flite": 30.0, "festival": 4.0, "espeak": 50.0}  # s of sound a s
LASTS = {"positive": 1.0, "near": 1.0, "partial": 0.8, "running": 3.0, "speech": 3.5}  # seconds of a saying
WARP_S = 0.06  # to warp a saying
CLIP_BYTES = 22_000  # of a second of FLAC, 16 kHz
WINDOWS = 55.0  # scenes a second
STREAMED = 60.0  # seconds of stream a second
WINDOW_BYTES, STREAM_BYTES = 9_600, 4_000  # of features: a window, a second of a stream
TRAINED = 2_400.0  # windows that the spotter learns from in a second, on two cores
VERIFIED = 1_500.0
FETCHED_BYTES, FETCHED_S = 1_500_000_000, 180.0  # packages and what is made of them, the first time
SPARE_BYTES = 1_000_000_000  # to be left free
EARLY = 0.03  # of a stage: until then the plan knows better than the pace

Tell = Callable[[float, float, str], None]  # share of the run that is done, seconds left, what is going on


@dataclass(frozen=True)
class Part:
    """A stage: how long it should take, and how much it should leave on the disk."""

    stage: str
    seconds: float
    bytes: int = 0


def plan(recipe: "Recipe", sayings: "Sequence[Saying]", store: Store, workers: int) -> list[Part]:
    """What every stage takes, but for what the store has already."""
    new = [saying for saying in sayings if not _spoken(saying, store)]
    speaking = sum(_seconds(saying) for saying in new) / workers
    sound = sum(LASTS[saying.line.kind] for saying in new)
    fetched = len(missing(store)) / len(PACKAGES) if recipe.recordings else 0.0
    pools, fit, verify = recipe.pools, recipe.fit, recipe.fit_verifier
    windows = pools.positives + pools.others + pools.valid_positives + pools.valid_others
    seconds = 3600 * (pools.hours + pools.valid_hours)
    return [
        Part("recordings", FETCHED_S * fetched, round(FETCHED_BYTES * fetched)),
        Part("voices", speaking, round(sound * CLIP_BYTES)),
        Part(
            "scenes",
            (windows / WINDOWS + seconds / STREAMED) / workers,
            round(windows * WINDOW_BYTES + seconds * STREAM_BYTES),
        ),
        Part(
            "nets", recipe.seeds * (30 + fit.steps * fit.batch / TRAINED) + 30 + verify.steps * verify.batch / VERIFIED
        ),
        Part("export", 40.0),
        Part("judgement", 90.0),
    ]


def seeds(recipe: "Recipe") -> list[int]:
    """Of the spotters that compete."""
    return [recipe.seed + number for number in range(recipe.seeds)]


def check(parts: Sequence[Part], where: Path) -> None:
    """Mistake when the disk has no room for what is planned."""
    where.mkdir(parents=True, exist_ok=True)
    free, need = shutil.disk_usage(where).free, sum(part.bytes for part in parts) + SPARE_BYTES
    if free < need:
        raise Mistake(
            f"{where} has {free / 1e9:.1f} GB free and this takes {need / 1e9:.1f} GB: make room, choose a smaller "
            "--tier, or set SOURDINE_CACHE to a folder on another disk"
        )


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Journey:
    """Where a run is: stages in turn, each with a progress of its own, told as one that never goes back."""

    def __init__(self, parts: Sequence[Part], tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = {part.stage: max(part.seconds, 1.0) for part in parts}
        self._tell, self._clock = tell, clock
        self._left = dict(self._parts)  # planned seconds of stages that are not done
        self._share = 0.0

    def stage(self, name: str) -> Callable[[int, int, str], None]:
        """Begin a stage: its progress(done, total, what). The stages before it are over."""
        for before in list(self._left):
            if before == name:
                break
            del self._left[before]
        began, planned = self._clock(), self._left.get(name, 1.0)

        def progress(done: int, total: int, what: str) -> None:
            share = min(1.0, done / total) if total else 1.0
            spent = self._clock() - began
            left = planned * (1 - share) if share < EARLY else spent * (1 - share) / share
            after = sum(self._left.values()) - self._left.get(name, 0.0)
            whole = sum(self._parts.values())
            self._share = max(self._share, 1 - (after + planned * (1 - share)) / whole)
            self._tell(self._share, left + after, f"{name}: {what}")

        progress(0, 1, "begins")
        return progress


def _spoken(saying: "Saying", store: Store) -> bool:
    """Whether there is nothing left to say. What is there already counts as used, so making room spares it."""
    try:
        key = saying.key
    except Mistake:  # its engine is missing
        return True
    return any(store.path(ROOM, key, suffix).exists() for suffix in (SOUND, SILENT))


def _seconds(saying: "Saying") -> float:
    return WARP_S if saying.warped else LASTS[saying.line.kind] / SPOKEN.get(saying.voice.engine, 5.0)
