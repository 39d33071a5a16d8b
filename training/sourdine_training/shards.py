"""The least that is made, kept and found again: a thousand windows, or two minutes of a stream, as features.

A shard is a pure function of what it names, so the same bytes come wherever it is made.
"""

import dataclasses
import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sourdine import spec
from sourdine_training import rooms
from sourdine_training.features import features, samples_for
from sourdine_training.scenes import WORD_S, Palette, Word, sped, spoken
from sourdine_training.store import Store, key

HERE = Path(__file__).parent
MADE_BY = ("rooms/*.py", "scenes.py", "shards.py", "features.py", "sources/audio.py")  # what a shard's bytes depend on
FRAMES = 240  # of a window, 2.4 s
WARM = 100  # frames of the same scene that are heard before and dropped
# Frames of a window between which a word ends: enough before it to know it, and after it, for the second net to have
# been asked and to have answered.
ENDS = (145, 215)
PEOPLE = 0.7  # share of the speech in streams that people said, not engines
KINDS = ("positive", "near", "partial", "running", "speech", "babble", "tv", "music", "ambience")
STREAM_S = 120  # of a stream, in scenes of SCENE_S
SCENE_S = 20
# A window on disk. `end`: the first frame that has heard all of the word, -1 if it is not there; `place` in Shard.words.
ROW = np.dtype([("features", "i1", (FRAMES, spec.CHANNELS)), ("end", "<i2"), ("place", "<i4")])


@dataclasses.dataclass(frozen=True)
class Shard:
    """All that some windows, or some minutes of streams, are made of. `words` is empty for streams."""

    kind: str
    seed: int
    number: int  # of windows: which turn of these words; of streams: which
    count: int  # of windows: of the first words, one each
    words: tuple[Word, ...]
    sayings: tuple[Word, ...]
    pieces: tuple[tuple[str, tuple[tuple[str, float, str], ...]], ...]  # kind → (path, seconds, key)
    bank: Path
    rooms: rooms.Options

    @property
    def key(self) -> str:
        words = [[(each.key, each.end_s) for each in group] for group in (self.words, self.sayings)]
        pieces = [(kind, [each[2] for each in listed]) for kind, listed in self.pieces]
        return key(code(), self.kind, self.seed, self.number, self.count, words, pieces, self.bank.name, self.rooms)


@lru_cache
def code() -> str:
    """Digest of the sources that make a shard of what it names: with them, all shards change."""
    paths = [path for pattern in MADE_BY for path in sorted(HERE.glob(pattern))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def made(store: Store, shard: Shard) -> Path:
    """The shard in the store: ROW [n] if it has words, else a stream's features, int8 [T, 40]."""
    path = store.path("pools", shard.key, ".npy")
    if not path.exists():
        rng = np.random.default_rng([shard.seed, 1])
        palette = Palette.read(
            rng, shard.sayings, {kind: [each[:2] for each in listed] for kind, listed in shard.pieces}
        )
        responses = rooms.Bank(shard.bank).rooms()
        rows = _windows(shard, palette, responses) if shard.words else _stream(shard, palette, responses)
        with store.writing(path) as scratch, scratch.open("wb") as file:
            np.save(file, rows)
    return path


def _windows(shard: Shard, palette: Palette, responses: NDArray[np.float32]) -> NDArray:
    rows = np.empty(shard.count, ROW)
    length = samples_for(WARM + FRAMES)
    for place, word in enumerate(shard.words[: shard.count]):
        rng = np.random.default_rng([shard.seed, int(word.key, 16), shard.number])
        end = int(rng.integers(ENDS[0], ENDS[1] + 1))
        at_end = (WARM + end) * spec.HOP + spec.WINDOW - int(rng.integers(spec.HOP))
        last = round(word.end_s * spec.SAMPLE_RATE)
        if shard.kind == "running" and last > length // 2:  # any part of a sentence
            at_end += int(rng.integers(max(1, last - length // 2)))
        longest_s = np.inf if shard.kind == "running" else WORD_S
        voice = spoken(rng, word.read(), last, at_end, palette, shard.rooms, longest_s)
        heard = rooms.scene(rng, length, voice, palette.beds(rng, length), responses, shard.rooms)
        rows[place] = features(heard)[WARM:], end if shard.kind == "positive" else -1, place
    return rows


def _stream(shard: Shard, palette: Palette, responses: NDArray[np.float32]) -> NDArray[np.int8]:
    """int8 [about 100 · STREAM_S, 40]: scene after scene to one ear."""
    length = SCENE_S * spec.SAMPLE_RATE
    heard = []
    for number in range(STREAM_S // SCENE_S):
        rng = np.random.default_rng([shard.seed, 2, number])
        voice: list[tuple[NDArray[np.float32], int]] = []
        kind = ""
        if shard.kind in ("speech", "running") and (palette.sayings or palette.speech):
            voice = palette.conversation(rng, length, PEOPLE if shard.kind == "speech" else 0.0, (0.05, 1.5))
            voice = [(sped(rng, samples, 0, shard.rooms)[0], at) for samples, at in voice]
        else:
            kind = shard.kind
        heard.append(rooms.scene(rng, length, voice, palette.beds(rng, length, kind), responses, shard.rooms))
    return features(np.concatenate(heard))
