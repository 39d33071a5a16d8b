"""What a net learns from: windows around words, and hours in which nobody says the word. Features, ready to be mapped.

A shard is a pure function of what it is made of, so whatever was made before is found again, however many workers make
it, and a longer recipe extends what a shorter one left. Pools stay on disk: only what is asked for is read.
"""

import dataclasses
import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sourdine import spec
from sourdine_board.mistake import Mistake
from sourdine_training import rooms
from sourdine_training.executor import Executor
from sourdine_training.rooms.responses import SIDES
from sourdine_training.scenes import Word
from sourdine_training.shards import FRAMES, KINDS, STREAM_S, Shard, made
from sourdine_training.sources.folders import TAKE
from sourdine_training.sources.pieces import Recording
from sourdine_training.store import Store

OTHERS = {"near": 0.55, "partial": 0.2, "running": 0.25}  # shares of the windows without the word
STREAMS = {"speech": 0.45, "tv": 0.15, "running": 0.1, "babble": 0.1, "music": 0.1, "ambience": 0.1}
SHARD = 1_000  # windows, at most

SAYINGS, PIECES = 60, {"speech": 48, "music": 12, "ambience": 12}  # of a shard's palette
AROUND = {"running": 30, "near": 20, "partial": 10}  # of the palette of a stream of running sentences


@dataclasses.dataclass(frozen=True)
class Options:
    positives: int = 60_000  # windows
    others: int = 60_000  # windows of near words, parts of the phrase, sentences that hold them
    hours: float = 24.0  # of streams
    valid_positives: int = 4_000
    valid_others: int = 4_000
    valid_hours: float = 8.0
    takes: float = 0.25  # share of windows that the owner's takes and negatives get when there are any


class Stack:
    """The features of many shards as one array: shape, len(), and [index | slice | array of indices, …] along the first axis."""

    def __init__(self, paths: Sequence[Path]):
        self._parts = [np.load(path, mmap_mode="r")["features"] for path in paths]
        self._from = np.cumsum([0, *map(len, self._parts)])
        self.shape = (int(self._from[-1]), FRAMES, spec.CHANNELS)
        self.dtype = np.dtype(np.int8)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> NDArray[np.int8]:
        first, rest = (which[0], which[1:]) if isinstance(which, tuple) else (which, ())
        if isinstance(first, int | np.integer):
            part, row = self._place(int(first))
            return self._parts[part][(row, *rest)]
        rows = np.arange(len(self))[first]
        parts = np.searchsorted(self._from, rows, side="right") - 1
        out = [self._parts[part][(row - self._from[part], *rest)] for part, row in zip(parts, rows, strict=True)]
        return np.stack(out) if out else np.empty((0, *self.shape[1:]), np.int8)[(slice(None), *rest)]

    def _place(self, index: int) -> tuple[int, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        index %= len(self)
        part = int(np.searchsorted(self._from, index, side="right")) - 1
        return part, index - int(self._from[part])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        return np.asarray(self[:], dtype)


@dataclasses.dataclass(frozen=True)
class Stream:
    """Minutes without the word."""

    features: NDArray[np.int8]  # [T, 40], mapped
    kind: str  # of KINDS

    @property
    def seconds(self) -> float:
        return len(self.features) * spec.HOP / spec.SAMPLE_RATE


@dataclasses.dataclass(frozen=True)
class Pool:
    """Windows and streams of one side of the split; row k of each array is of window k."""

    features: Stack  # int8 [n, FRAMES, 40]
    end: NDArray[np.int16]  # [n], the first frame that has heard all of the word; -1: none is there
    kind: NDArray[np.uint8]  # [n], index into KINDS
    clip: NDArray[np.int32]  # [n], index into the clips it was built from
    streams: list[Stream]

    @property
    def hours(self) -> float:
        return sum(stream.seconds for stream in self.streams) / 3600


def build(
    clips: Sequence[Any],
    recordings: Sequence[Recording],
    options: Options,
    room_options: rooms.Options,
    split: str,
    seed: int,
    store: Store,
    executor: Executor,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Pool:
    """The pool of "train" or "valid" out of the clips and recordings of that side; the others are not touched.

    `clips` have path, kind, split, end_s, key, and voice.engine, TAKE for what the owner gave. Raises Mistake when no
    clip says the word.
    """
    words = _by_kind(clips, split)
    if not words.get("positive") and not words.get(TAKE + "positive"):
        raise Mistake(f"no clip to {split} with says the word: more voices are needed, or takes of your own")
    bank = rooms.bank(room_options, split, seed, store, executor, progress)
    make = _Maker(words, recordings, options, room_options, split, seed, bank.path)
    shards = [*make.windows("positive", options.positives if split == "train" else options.valid_positives)]
    total = options.others if split == "train" else options.valid_others
    present = {kind: share for kind, share in OTHERS.items() if words.get(kind)}
    for kind, share in present.items():
        shards += make.windows(kind, round(total * share / sum(present.values())))
    streams = [*make.streams(options.hours if split == "train" else options.valid_hours)]
    paths: list[Path] = []
    for done, path in enumerate(executor.map(partial(made, store), shards + streams), 1):
        paths.append(path)
        progress(done, len(shards) + len(streams), f"scenes to {split}")
    minutes = zip(streams, paths[len(shards) :], strict=True)
    listed = [Stream(np.load(path, mmap_mode="r"), stream.kind) for stream, path in minutes]
    return _pooled(shards, paths[: len(shards)], listed)


def calibration(pool: Pool, count: int, seed: int) -> NDArray[np.int8]:
    """Windows in which somebody says the word, int8 [≤ count, FRAMES, 40]: what a quantised net must represent."""
    words = np.flatnonzero(pool.end >= 0)
    return pool.features[np.sort(np.random.default_rng([seed, 40]).permutation(words)[:count])]


def took_part(clips: Sequence[Any], recordings: Sequence[Recording]) -> dict[str, dict[str, float]]:
    """Who was there to speak, and what there was to hear: engine → clips, package or folder → hours."""
    hours: dict[str, float] = {}
    for each in recordings:
        hours[each.source] = hours.get(each.source, 0.0) + each.seconds / 3600
    engines = Counter(clip.voice.engine for clip in clips)
    return {
        "engines": dict(sorted(engines.items())),
        "recordings": {name: round(total, 2) for name, total in sorted(hours.items())},
    }


class _Maker:
    """Divides the work of one pool into shards."""

    def __init__(self, words: dict[str, list[Word]], recordings: Sequence[Recording], options: Options,
                 room_options: rooms.Options, split: str, seed: int, bank: Path):  # fmt: skip
        self._words, self._options, self._rooms, self._bank = words, options, room_options, bank
        self._seed = [seed, SIDES[split]]
        self._pieces = {
            kind: [each for each in recordings if (each.kind, each.split) == (kind, split)] for kind in PIECES
        }

    def windows(self, kind: str, count: int) -> Iterator[Shard]:
        """Shards of this kind: all words in turn, a scene of each, until there are `count`; of more words, any `count`."""
        told, own = self._words.get(kind, []), self._words.get(TAKE + kind, [])
        takes = round(count * self._options.takes if told else count) if own else 0
        for words, wanted in ((told, count - takes), (own, takes)):
            drawn = set(sorted(word.key for word in words)[:wanted])
            words = [word for word in words if word.key in drawn]
            for turn in range(-(-wanted // max(1, len(words))) if words else 0):
                for start in range(0, min(len(words), wanted - turn * len(words)), SHARD):
                    here = min(SHARD, len(words) - start, wanted - turn * len(words) - start)
                    yield self._shard(kind, turn, here, tuple(words[start : start + SHARD]))

    def streams(self, hours: float) -> Iterator[Shard]:
        """Shards of streams, STREAM_S each."""
        for number in range(round(hours * 3600 / STREAM_S)):
            rng = np.random.default_rng([*self._seed, 50, number])
            yield self._shard(str(rng.choice(list(STREAMS), p=list(STREAMS.values()))), number, 1, ())

    def _shard(self, kind: str, number: int, count: int, words: tuple[Word, ...]) -> Shard:
        """With a palette of its own."""
        first = int(words[0].key, 16) if words else 1
        seed = int(np.random.default_rng([*self._seed, KINDS.index(kind), number, first]).integers(1 << 31))
        around = kind == "running" and not words and any(self._words.get(name) for name in AROUND)
        shares = AROUND if around else {"speech": SAYINGS}
        sayings = [word for name, most in shares.items() for word in drawn(seed, self._words.get(name, []), most)]
        pieces = tuple(
            (name, tuple((str(one.path), one.seconds, one.key) for one in drawn(seed, self._pieces[name], most)))
            for name, most in PIECES.items()
        )
        return Shard(kind, seed, number, count, words, tuple(sayings), pieces, self._bank, self._rooms)


def _pooled(shards: Sequence[Shard], paths: Sequence[Path], streams: Sequence[Stream]) -> Pool:
    ends, kinds, clips = [np.empty(0, np.int16)], [np.empty(0, np.uint8)], [np.empty(0, np.int32)]
    for shard, path in zip(shards, paths, strict=True):
        rows = np.load(path, mmap_mode="r")
        ends.append(rows["end"])
        kinds.append(np.full(len(rows), KINDS.index(shard.kind), np.uint8))
        clips.append(np.array([word.index for word in shard.words], np.int32)[rows["place"]])
    return Pool(Stack(paths), np.concatenate(ends), np.concatenate(kinds), np.concatenate(clips), list(streams))


def _by_kind(clips: Sequence[Any], split: str) -> dict[str, list[Word]]:
    """kind → words of one side; what the owner gave under TAKE + kind."""
    found: dict[str, list[Word]] = {}
    for index, clip in enumerate(clips):
        if clip.split == split:
            own = TAKE if clip.voice.engine == TAKE else ""
            found.setdefault(own + clip.kind, []).append(Word(str(clip.path), clip.end_s, clip.key, index))
    return found


def drawn(seed: int, items: Sequence[Any], most: int) -> list[Any]:
    """At most so many: those whose hash with the seed is least. If items come or go, few of those drawn change."""

    def rank(item: Any) -> bytes:
        return hashlib.blake2b(f"{seed} {item.key}".encode(), digest_size=8).digest()

    return heapq.nsmallest(most, items, key=rank)
