"""All that a run learns from: clips and recordings, and the pools made of them."""

import csv
import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from sourdine import wake
from sourdine_training import pools, shards, voices
from sourdine_training.apart import Progress, silent
from sourdine_training.executor import Executor
from sourdine_training.recipe import Recipe
from sourdine_training.sources.pieces import Recording
from sourdine_training.store import Store, key

HERE = Path(__file__).parent
FIRMWARE = "firmware"  # for code(): what the board runs
COLUMNS = ("key", "kind", "split", "voice", "text", "seconds")
SPLITS = ("train", "valid")
REPORTED = 0.25  # of what validates, kept from the choices for the report


@dataclass(frozen=True)
class Material:
    """As it lies in the store. Small, so that it travels to other processes, which find the pools made."""

    recipe: Recipe
    clips: tuple[voices.Clip, ...]
    recordings: tuple[Recording, ...]
    store: Store

    @property
    def key(self) -> str:
        """Of everything that decides what the pools hold."""
        sounds = [[clip.key, clip.kind, clip.split] for clip in self.clips]
        others = [[each.key, each.kind, each.split] for each in self.recordings if each.split in SPLITS]
        recipe = self.recipe
        return key(sounds, others, recipe.pools, recipe.rooms, recipe.seed, REPORTED, shards.code())

    def pool(self, split: str, executor: Executor | None = None, tell: Progress = silent) -> pools.Pool:
        """The pool of "train" or "valid", made or found. What is reported on chooses nothing, so it is in neither."""
        recipe, executor = self.recipe, executor or Executor.in_process()
        clips = [each for each in self.clips if not reported(each)]
        recordings = [each for each in self.recordings if not reported(each)]
        return pools.build(
            clips, recordings, recipe.pools, recipe.rooms, split, recipe.seed, self.store, executor, tell
        )

    def write(self, path: Path) -> None:
        """The manifest of the data: one line for every clip and recording, whatever order they were made in."""
        rows = {
            (
                each.key,
                each.kind,
                each.split,
                f"{each.voice.engine} {each.voice.name}",
                each.text,
                f"{each.seconds:.3f}",
            )
            for each in self.clips
        } | {
            (each.key, each.kind, each.split, each.source, "", f"{each.seconds:.3f}")
            for each in self.recordings
            if each.split in SPLITS
        }
        with Store(path.parent).writing(path) as scratch, scratch.open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(sorted(rows))

    def described(self) -> list[str]:
        """What there is of each kind, as lines for a person."""
        clips = Counter((clip.kind, clip.split) for clip in self.clips)
        lines = [
            f"{kind:8} {clips[kind, 'train']:6} clips to train, {clips[kind, 'valid']:5} to validate"
            for kind in dict.fromkeys(clip.kind for clip in self.clips)
        ]
        hours: dict[tuple[str, str], float] = defaultdict(float)
        for each in self.recordings:
            hours[each.kind, each.split] += each.seconds / 3600
        return lines + [
            f"{kind:8} {hours[kind, 'train']:6.1f} h recorded to train, {hours[kind, 'valid']:.1f} h to validate"
            for kind in dict.fromkeys(each.kind for each in self.recordings)
        ]


def reported(each: voices.Clip | Recording) -> bool:
    """Whether it validates, and is kept for the report: by its own key, whatever else there is."""
    share = int.from_bytes(hashlib.sha256(f"report on {each.key}".encode()).digest()[:4]) / 2**32
    return each.split == "valid" and share < REPORTED


def code(*names: str) -> str:
    """Digest of the source of rooms, modules, and FIRMWARE: what they make of the same inputs may change with it."""
    places = [Path(wake.__file__).parent if name == FIRMWARE else HERE / name for name in names]
    paths = [path for place in places for path in ([place] if place.suffix == ".py" else sorted(place.glob("*.py")))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
