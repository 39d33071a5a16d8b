"""Recordings of whatever length → FLAC files of a minute, made once: every later step seeks in those, and reads fast."""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sourdine_training.sources import audio
from sourdine_training.sources.audio import RATE, Sound
from sourdine_training.store import Store

ROOM = "recorded"  # in the store
FORM = 2  # counts up when the same files would be cut otherwise
LONGEST_S = 60
GAP_S = {"speech": 0.4, "music": 0.0, "ambience": 0.1}  # between what is joined

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A piece of recorded sound: a FLAC file of 16 kHz, mono, at most LONGEST_S long."""

    path: Path
    kind: str  # "speech" | "music" | "ambience"
    split: str  # "train" | "valid" | "judge"
    source: str  # the package or folder it is from, as credits name it
    seconds: float
    key: str  # of its content


@dataclass(frozen=True)
class Group:
    """Files that may be joined: one kind, one side, and, of speech, one speaker where that is known."""

    kind: str
    split: str
    paths: Sequence[Path]


def joined(
    store: Store, key: str, source: str, groups: Iterable[Group], level: int = logging.WARNING
) -> list[Recording]:
    """The pieces of these groups, from the store if `key` is there, and then `groups` is not even asked.

    Files that cannot be read are named in the log at `level`, and left out.
    """
    folder = store.path(ROOM, key)
    if not folder.exists():
        with store.writing(folder) as scratch:
            scratch.mkdir()
            broken: list[str] = []
            rows = [row for group in groups for row in _written(group, scratch, broken)]
            (scratch / "pieces.json").write_text(json.dumps({"pieces": rows, "broken": broken}))
    index = json.loads((folder / "pieces.json").read_text())
    for each in index["broken"]:
        log.log(level, "left out of %s: %s", source, each)
    return [Recording(**{**row, "path": folder / row["path"], "source": source}) for row in index["pieces"]]


def _written(group: Group, folder: Path, broken: list[str]) -> Iterator[dict]:
    for piece in _pieces(_sounds(group.paths, broken), GAP_S[group.kind]):
        scratch = folder / "piece.flac"
        seconds = audio.write(scratch, piece)
        content = hashlib.sha256(scratch.read_bytes()).hexdigest()[:32]
        scratch.rename(folder / f"{content}.flac")
        yield {"path": f"{content}.flac", "kind": group.kind, "split": group.split, "seconds": seconds, "key": content}


def _sounds(paths: Iterable[Path], broken: list[str]) -> Iterator[Sound]:
    for path in paths:
        try:
            sound = audio.load(path)
        except audio.Unreadable as why:
            broken.append(f"{path.name}: {why}")
            continue
        yield audio.at_loudness(sound[audio.sounding(sound)])


def _pieces(sounds: Iterable[Sound], gap_s: float) -> Iterator[Sound]:
    """The same sounds, joined by gaps or cut so that each piece has at most LONGEST_S."""
    longest, gap = LONGEST_S * RATE, np.zeros(int(gap_s * RATE), np.float32)
    held: list[Sound] = []
    length = 0
    for sound in sounds:
        for start in range(0, len(sound), longest):
            part = sound[start : start + longest]
            if held and length + len(part) > longest:
                yield np.concatenate(held)
                held, length = [], 0
            held += [part, gap]
            length += len(part) + len(gap)
    if held:
        yield np.concatenate(held)[:longest]
