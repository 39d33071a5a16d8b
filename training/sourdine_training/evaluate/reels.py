"""Recordings made ready to be played to detectors: each reel a few minutes, made from its parts alone, and cached.

A clip with a wake word is played by itself, to a detector that has heard nothing before: LEAD_S of noise like its
own silence, the clip, TAIL_S. Negatives are joined to long streams, as a life is, with GAP_S of such noise between
them, so that a detector's deaf first second hides next to nothing.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sourdine_training import features
from sourdine_training.evaluate import sound
from sourdine_training.evaluate.corpus import COUNTED, KINDS, Recording
from sourdine_training.evaluate.sound import RATE
from sourdine_training.store import Store, digest, key

VERSION = 2  # of how reels are made: another one makes every reel again
LEAD_S, TAIL_S, GAP_S = 2.0, 1.5, 0.3
CLIPS = 40  # positives a reel
STREAM_BYTES = 2_400_000  # of files a stream, so about five minutes of most codecs
TALKERS = 4
LONGEST_DECAY_S = 1.2  # rooms that people live in; caves and cathedrals are left out
CONDITIONS = ("clean", "10 dB", "5 dB", "reverberant")


@dataclass(frozen=True)
class Piece:
    """What a detector hears from a fresh start."""

    paths: tuple[Path, ...]  # one clip, or the recordings of a stream
    noise: tuple[Path, ...] = ()  # talkers, or a room's response
    part: int = 0


@dataclass(frozen=True)
class Reel:
    key: str  # stands for the sound, not for names
    kind: str  # positive, or of corpus.KINDS
    condition: str  # of CONDITIONS; negatives are as recorded
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Mark:
    """Where in a piece something is, in seconds."""

    path: Path
    begin: float  # of the recording
    end: float
    word_end: float  # of the word in a positive; NaN where there is none, or nobody can be sure


@dataclass(frozen=True)
class Heard:
    """What a reel sounds like: for each piece int8 features, and where its recordings lie."""

    rows: list[NDArray[np.int8]]
    marks: list[list[Mark]]
    seconds: list[float]


def positives(clips: list[Recording], condition: str, talkers: list[Recording], rooms: list[Path]) -> Iterator[Reel]:
    """Reels of clips with the word in them. Talkers and rooms are drawn by the clip's content."""
    voices = sorted((each for each in talkers if each.kind == "speech"), key=lambda each: digest(each.path))
    pieces = []
    for clip in clips:
        rng = _rng(clip.path, condition)
        noise: tuple[Path, ...] = ()
        if condition.endswith("dB"):
            others = [each for each in voices if each.group != clip.group]
            noise = tuple(others[i].path for i in rng.choice(len(others), TALKERS, replace=len(others) < TALKERS))
        elif condition == "reverberant" and rooms:
            noise = (rooms[rng.integers(len(rooms))],)
        pieces.append(Piece((clip.path,), noise, clip.part))
    for at in range(0, len(pieces), CLIPS):
        yield _reel("positive", condition, pieces[at : at + CLIPS])


def negatives(recordings: Iterable[Recording]) -> Iterator[Reel]:
    """Streams, each of one kind, source and part."""
    sorts: dict[tuple, list[Recording]] = {}
    for each in recordings:
        sorts.setdefault((KINDS.index(each.kind), each.source, each.word, each.part), []).append(each)
    for (kind, _, _, part), members in sorted(sorts.items()):
        if KINDS[kind] not in COUNTED:  # each by itself: they are counted by clip
            pieces = [Piece((each.path,), part=part) for each in members]
            for at in range(0, len(pieces), CLIPS):
                yield _reel(KINDS[kind], "as recorded", pieces[at : at + CLIPS])
            continue
        stream, size = [], 0
        for each in members:
            stream.append(each.path)
            size += each.path.stat().st_size
            if size >= STREAM_BYTES:
                yield _reel(KINDS[kind], "as recorded", [Piece(tuple(stream), part=part)])
                stream, size = [], 0
        if stream:
            yield _reel(KINDS[kind], "as recorded", [Piece(tuple(stream), part=part)])


def _reel(kind: str, condition: str, pieces: list[Piece]) -> Reel:
    parts = [
        [[digest(path) for path in (*each.paths, "/", *each.noise) if path != "/"], len(each.paths)] for each in pieces
    ]
    form = [VERSION, "word" if kind == "positive" else "stream", condition, LEAD_S, TAIL_S, GAP_S]
    return Reel(key(form, parts), kind, condition, tuple(pieces))


def _rng(path: Path, what: str) -> np.random.Generator:
    return np.random.default_rng([int(digest(path)[:12], 16), *what.encode()])


def play(reel: Reel) -> Iterator[tuple[NDArray[np.int16], list[Mark]]]:
    """The samples of each piece, and where in them its recordings lie."""
    for piece in reel.pieces:
        yield _clip(piece, reel.condition) if reel.kind == "positive" else _stream(piece)


def _clip(piece: Piece, condition: str) -> tuple[NDArray[np.int16], list[Mark]]:
    path = piece.paths[0]
    rng = _rng(path, f"{condition} noise")
    clip = sound.load(path)
    word = sound.span(clip)
    power = sound.active_power(clip[int(word.begin * RATE) : int(word.end * RATE)])
    lead, tail = int(LEAD_S * RATE), int(TAIL_S * RATE)
    around = sound.floor(clip, lead + len(clip) + tail, rng)
    if condition == "reverberant":
        response = sound.load(piece.noise[0]) if piece.noise else _simulated(rng)
        clip = sound.in_room(clip, response)[: len(clip) + tail]
    whole = around
    _lay(whole, clip, lead)
    if condition.endswith("dB"):
        ratio = 10 ** (-float(condition.split()[0]) / 10)
        talkers = [_loaded(each) for each in piece.noise]
        noise = sound.babble(talkers, len(whole), rng) + sound.brown(len(whole), rng)
        whole += noise * np.float32(np.sqrt(power * ratio / 2))
    whole *= min(1.0, 32767 / float(np.abs(whole).max()))
    length = (len(whole) - tail - lead) / RATE
    return sound.int16(whole), [Mark(path, LEAD_S, LEAD_S + length, LEAD_S + word.end if word.sure else float("nan"))]


def _lay(whole: sound.Sound, clip: sound.Sound, at: int) -> None:
    """The clip in the place of what was there, its edges faded over 5 ms."""
    fade = np.minimum(1, np.arange(1, len(clip) + 1, dtype=np.float32) / 80)
    gain = fade * fade[::-1]
    part = whole[at : at + len(clip)]
    part *= 1 - gain[: len(part)]
    part += (clip * gain)[: len(part)]


def _stream(piece: Piece) -> tuple[NDArray[np.int16], list[Mark]]:
    parts, marks, at = [], [], 0.0
    for number, path in enumerate(piece.paths):
        rng = _rng(path, "stream")
        recording = sound.load(path)
        gap = sound.floor(recording, int((LEAD_S if number == 0 else GAP_S) * RATE), rng)
        begin = at + len(gap) / RATE
        at = begin + len(recording) / RATE
        parts += [sound.int16(gap), sound.int16(recording)]
        marks.append(Mark(path, begin, at, float("nan")))
    tail = sound.floor(sound.load(piece.paths[-1]), int(TAIL_S * RATE), np.random.default_rng(0))
    return np.concatenate([*parts, sound.int16(tail)]), marks


@functools.lru_cache(maxsize=400)
def _loaded(path: Path) -> sound.Sound:
    return sound.load(path)


def _simulated(rng: np.random.Generator) -> sound.Sound:
    """A living room where none was measured: a decay of noise, T60 0.3 to 0.7 s, 6 to 12 dB below the direct sound."""
    decay = rng.uniform(0.3, 0.7)
    times = np.arange(int(decay * RATE)) / RATE
    tail = rng.normal(0, 1, len(times)) * np.exp(-6.91 * times / decay) * (times > 0.003)
    tail *= 10 ** (rng.uniform(-12, -6) / 20) / (np.sqrt(np.square(tail).sum()) + 1e-9)
    tail[0] = 1.0
    return tail.astype(np.float32)


def hear(reel: Reel, store: Store) -> Heard:
    """The reel's features and marks, from the store if they are there."""
    path = kept(reel, store)
    names = [list(piece.paths) for piece in reel.pieces]
    if not path.exists():
        rows, times, seconds = [], [], []
        for samples, marks in play(reel):
            rows.append(features.features(samples))
            seconds.append(len(samples) / RATE)
            times += [[mark.begin, mark.end, mark.word_end] for mark in marks]
        with store.writing(path) as scratch:
            np.savez(
                scratch, rows=np.concatenate(rows), lengths=[len(each) for each in rows], times=times, seconds=seconds
            )
    with np.load(path) as found:
        ends = np.cumsum(found["lengths"])[:-1]
        times = iter(found["times"].tolist())
        marks = [[Mark(path, *next(times)) for path in paths] for paths in names]
        return Heard(np.split(found["rows"], ends), marks, found["seconds"].tolist())


def kept(reel: Reel, store: Store) -> Path:
    """Where hear() keeps what it made."""
    return store.path("heard", reel.key, ".npz")


def rooms(recordings: Iterable[Recording]) -> list[Path]:
    """The measured rooms that people could live in."""
    found = [each.path for each in recordings if each.kind == "rir"]
    fit = [path for path in found if sound.decay_s(sound.load(path)) <= LONGEST_DECAY_S]
    return sorted(fit, key=digest)
