"""What detectors are judged on: a folder of recordings, sorted by what is in them and by who speaks.

    FOLDER/manifest.csv                columns path, category, and where known source, speaker; categories
                                       positive:WORD, speech, noise, music, ambience, confusable, rir
    FOLDER/positive/WORD/*             without a manifest the layout says the same, and
    FOLDER/negative/KIND/**            a negative folder of no known kind holds speech

All recordings of a speaker are in one of PARTS parts. A threshold is chosen on half of the parts and scored on the
other half.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_training.executor import Executor
from sourdine_training.store import Store

KINDS = ("speech", "other words", "noise", "music", "ambience", "confusable")  # of negatives, as reports order them
SUFFIXES = {".wav", ".flac", ".opus", ".ogg", ".mp3", ".g722"}
PARTS = 8
TOGETHER = 10  # pieces of a package's music
COUNTED = KINDS[:-1]  # confusables are made to confuse: they are counted by clip, not as hours of a life


@dataclass(frozen=True)
class Recording:
    path: Path
    kind: str  # positive, rir, or of KINDS
    word: str  # what is said in a positive or another word's clip: alexa, view_glass; else ""
    group: str  # who speaks, or what was cut into pieces; one group is in one part
    source: str

    @property
    def part(self) -> int:
        """0..PARTS-1, from the group's name alone, so that it is the same in every run."""
        return hashlib.sha256(self.group.encode()).digest()[0] % PARTS


def plain(word: str) -> str:
    """A wake word as folders name it: "Hey Jarvis" → "hey_jarvis"."""
    return re.sub(r"[^\w]+", "_", word.strip().lower()).strip("_")


def words(recordings: Iterable[Recording]) -> list[str]:
    return sorted({each.word for each in recordings if each.kind == "positive"})


def read(folder: Path) -> list[Recording]:
    """All recordings of a folder, in the order of their names. Mistake when it holds none."""
    if not folder.is_dir():
        raise Mistake(f"{folder} is no folder: name one that holds positive/WORD/* and negative/*, or a manifest.csv")
    manifest = folder / "manifest.csv"
    found = _listed(manifest) if manifest.exists() else _laid_out(folder)
    if not found:
        raise Mistake(f"{folder} holds no recordings: put them in positive/WORD/ and negative/speech/")
    return sorted(found, key=lambda each: str(each.path))


def _listed(manifest: Path) -> list[Recording]:
    with manifest.open(newline="") as file:
        rows = csv.DictReader(file)
        if not {"path", "category"} <= set(rows.fieldnames or ()):
            raise Mistake(f"{manifest} has no columns path and category: see `sourdine evaluate --help`")
        found = []
        for row in rows:
            kind, _, word = row["category"].partition(":")
            path = manifest.parent / row["path"]
            source = row.get("source") or manifest.parent.name
            if not path.exists():
                raise Mistake(f"{manifest} names {row['path']}, which is not there: copy it, or drop the line")
            group = row.get("speaker") or f"{source}/{_trunk(path)}"
            found.append(Recording(path, _kind(kind), plain(word), group, source))
    return found


def _laid_out(folder: Path) -> list[Recording]:
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        parts = path.relative_to(folder).parts[:-1]
        group = "/".join((*parts, _trunk(path)))
        if parts[:1] == ("positive",) and len(parts) > 1:
            found.append(Recording(path, "positive", plain(parts[1]), group, folder.name))
        else:
            kinds = [_kind(part) for part in parts if part in (*KINDS, "rir")]
            found.append(Recording(path, kinds[-1] if kinds else "speech", "", group, folder.name))
    return found


def _kind(name: str) -> str:
    if name in ("positive", "rir", *KINDS):
        return name
    return "confusable" if name in ("near", "confusables") else "speech"


def _trunk(path: Path) -> str:
    """The name without the number of the piece: ascbg_boiler_s01 → ascbg_boiler."""
    return re.sub(r"[-_ .]?(s|part|take)?\d+$", "", path.stem) or path.stem


def for_word(recordings: Iterable[Recording], word: str) -> tuple[list[Recording], list[Recording]]:
    """(positives, negatives) of one word: what another word's speakers say is "other words"."""
    positives, negatives = [], []
    for each in recordings:
        if each.kind == "positive" and each.word == word:
            positives.append(each)
        elif each.kind == "positive":
            negatives.append(Recording(each.path, "other words", each.word, each.group, each.source))
        elif each.kind != "rir":
            negatives.append(each)
    return positives, negatives


def without_words(recordings: Iterable[Recording]) -> list[Recording]:
    """The same as negatives alone: nobody's wake word is said in them."""
    return [
        Recording(each.path, "other words", each.word, each.group, each.source) if each.kind == "positive" else each
        for each in recordings
        if each.kind != "rir"
    ]


def recorded(
    store: Store, executor: Executor, progress: Callable[[int, int, str], None]
) -> tuple[list[Recording], list[str]]:
    """Debian's recordings that nothing is ever trained on, and a line if they cannot be had.

    Who speaks in which piece is not known, so all speech of a package is one group; of music and noises it is what
    lies TOGETHER pieces, of a minute each, beside one another: a tune is seldom in two groups.
    """
    from sourdine_training.sources.recorded import recorded

    found = [each for each in recorded(store, executor, progress) if each.split == "judge"]
    if not found:
        return [], ["Debian's recordings are left out: they come by apt-get download, which did not work here"]
    listed, seen = [], Counter()
    for each in found:
        group = f"{each.source}/{each.kind}"
        if each.kind != "speech":
            seen[group] += 1
            group += f" {(seen[group] - 1) // TOGETHER}"
        listed.append(Recording(each.path, each.kind, "", group, each.source))
    return listed, []
