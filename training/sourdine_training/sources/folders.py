"""What the owner brings: public sets by their layout, takes of the phrase, and clips that woke the board and should not.

Whatever libsndfile reads, at any rate. A file that cannot be read is named and left out. Speakers are told apart by
what the layout says of them, and their hash decides on which side of the split they stand.
"""

import csv
import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_training.executor import Executor
from sourdine_training.sources import audio
from sourdine_training.sources.pieces import FORM, Group, Recording, joined
from sourdine_training.store import Store, digest, key
from sourdine_training.voices.speak import Clip
from sourdine_training.voices.trim import EDGE_S, trim
from sourdine_training.voices.voice import Voice

Progress = Callable[[int, int, str], object]

TAKE = "take"  # the engine of clips that no engine made
HELD = 0.1  # share of the speakers, tunes and noises that validate
HELD_TAKES = 5  # one take in so many validates
MOST_H = 20.0  # of each kind that are used of one folder; a hash draws them
BATCH = 64  # files that are cut together
LONGEST_TAKE_S = 4.0
FOLDERS = {  # a folder's name → what is below it
    "speech": "speech", "voice": "speech", "voices": "speech", "talk": "speech", "clips": "speech",
    "music": "music", "songs": "music", "fma": "music",
    "noise": "ambience", "noises": "ambience", "ambience": "ambience", "background": "ambience",
    "backgrounds": "ambience", "_background_noise_": "ambience", "esc-50": "ambience", "demand": "ambience",
}  # fmt: skip
SPEECH_COMMANDS = re.compile(r"([0-9a-f]{8})_nohash_\d+")
LIBRISPEECH = re.compile(r"(\d+)-\d+-\d+")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A file of somebody's set, before it is opened."""

    path: Path
    kind: str
    who: str  # the speaker; for music and noise, the file


def folder(
    path: Path, phrase: str, store: Store, executor: Executor, progress: Progress = lambda *_: None
) -> list[Recording]:
    """Recordings of one folder: Common Voice, Speech Commands, LibriSpeech, MUSAN, or folders named after what is in them.

    What is known to say the phrase (Common Voice's sentences, Speech Commands' folders) is left out. Raises Mistake when
    the folder is not there, or nothing in it says what it is. Piper voices (*.onnx) are not recordings: see piper().
    """
    found = _least(_known(_existing(path), phrase))
    if not found:
        kinds = "speech, music or noise"
        raise Mistake(f"{path} holds no recording of a kind that can be told: put them into a folder called {kinds}")
    together: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for each in sorted(found, key=lambda each: (each.who, str(each.path))):
        together[each.kind, side(each.who)].append(each.path)
    groups = [
        Group(kind, split, paths[start : start + BATCH])
        for (kind, split), paths in sorted(together.items())
        for start in range(0, len(paths), BATCH)
    ]
    recordings: list[Recording] = []
    for done, part in enumerate(executor.map(partial(_batch, store, path.name), groups), 1):
        recordings += part
        progress(done, len(groups), f"recordings: {path.name}")
    return recordings


def piper(path: Path) -> list[Path]:
    """The Piper voices in a folder: models beside which their .onnx.json lies."""
    return sorted(each for each in _existing(path).rglob("*.onnx") if each.with_name(each.name + ".json").exists())


def takes(path: Path, phrase: str, store: Store) -> list[Clip]:
    """The owner saying the phrase: one clip a file, trimmed. One in five validates and is never learnt from.

    They have the same voice, and say so little of how a stranger fares. Raises Mistake when there is none.
    """
    made = _clips(path, "positive", phrase, store)
    if not made:
        raise Mistake(f"{path} holds no take of `{phrase}`: record some with `sourdine record`, one phrase a file")
    return made


def negatives(path: Path, store: Store) -> list[Clip]:
    """What woke the board and was not the phrase: kind "near", one clip a file. Raises Mistake without the folder."""
    return _clips(path, "near", "", store)


def side(who: str) -> str:
    """ "train" or "valid", by a stable hash."""
    return "valid" if int.from_bytes(hashlib.sha256(f"side of {who}".encode()).digest()[:4]) < HELD * 2**32 else "train"


def _existing(path: Path) -> Path:
    if not path.is_dir():
        raise Mistake(f"{path} is not a folder: give one that holds recordings")
    return path


def _sounds(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.suffix.lower() in audio.SUFFIXES and each.is_file())


def _known(path: Path, phrase: str) -> Iterator[Found]:
    """All files that are of use, with what the layout says of them."""
    said = _words(phrase)
    sentences = _common_voice(path)
    for each in _sounds(path):
        inside = [part.lower() for part in (path.name, *each.relative_to(path).parts[:-1])]
        named = [FOLDERS[part] for part in inside if part in FOLDERS]
        if each.name in sentences:
            who, sentence = sentences[each.name]
            if said not in _words(sentence):
                yield Found(each, "speech", who)
        elif commands := SPEECH_COMMANDS.fullmatch(each.stem):
            if f" {inside[-1]} " not in said:
                yield Found(each, "speech", commands[1])
        elif speaker := LIBRISPEECH.fullmatch(each.stem):
            yield Found(each, "speech", speaker[1])
        elif named and named[-1] == "speech":
            last = max(k for k, part in enumerate(inside) if part in FOLDERS)
            yield Found(each, "speech", "/".join(inside[last + 1 :]) or each.stem)
        elif named:
            yield Found(each, named[-1], each.stem)


def _common_voice(path: Path) -> dict[str, tuple[str, str]]:
    """File name → (speaker, sentence), from the tables that lie beside `clips`."""
    told = {}
    for table in sorted(each for each in path.rglob("*.tsv") if (each.parent / "clips").is_dir()):
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row.get("path") and row.get("client_id"):
                    told[row["path"]] = row["client_id"], row.get("sentence") or ""
    return told


def _words(text: str) -> str:
    """Lower case, words only, a space around each."""
    return " " + " ".join(re.findall(r"\w+", text.lower())) + " "


def _least(found: Iterable[Found]) -> list[Found]:
    """Of each kind no more than MOST_H, drawn by hash, so that the same are drawn tomorrow."""
    kept, heard = [], defaultdict(float)
    for each in sorted(found, key=lambda each: hashlib.sha256(each.path.name.encode()).digest()):
        if heard[each.kind] < MOST_H * 3600:
            heard[each.kind] += _seconds(each.path)
            kept.append(each)
    return kept


def _seconds(path: Path) -> float:
    """About; 0 for what cannot be read."""
    import soundfile

    try:
        return soundfile.info(path).duration
    except (soundfile.LibsndfileError, OSError):
        return path.stat().st_size / 8000 if path.suffix.lower() == ".g722" else 0.0


def _batch(store: Store, source: str, group: Group) -> list[Recording]:
    content = key(FORM, group.kind, group.split, [digest(path) for path in group.paths])
    return joined(store, content, source, [group])


def _clips(path: Path, kind: str, text: str, store: Store) -> list[Clip]:
    """One of each readable file, in an order that does not depend on names."""
    made = []
    content: dict[str, Path] = {digest(each): each for each in _sounds(_existing(path))}
    for number, (name, file) in enumerate(sorted(content.items())):
        split = "valid" if number % HELD_TAKES == HELD_TAKES - 1 else "train"
        try:
            made.append(_clip(file, kind, text, split, key(FORM, TAKE, kind, name), store))
        except audio.Unreadable as why:
            log.warning("left out: %s: %s", file.name, why)
    return made


def _clip(file: Path, kind: str, text: str, split: str, name: str, store: Store) -> Clip:
    import soundfile

    out = store.path("takes", name, ".flac")
    if not out.exists():
        sound = trim(audio.load(file), audio.RATE)
        if sound is None:
            raise audio.Unreadable("nobody speaks in it")
        if kind == "positive" and len(sound) > LONGEST_TAKE_S * audio.RATE:
            raise audio.Unreadable(f"it sounds for {len(sound) / audio.RATE:.1f} s: one phrase a file, please")
        with store.writing(out) as scratch:
            audio.write(scratch, audio.at_loudness(sound))
    seconds = soundfile.info(out).duration
    return Clip(out, kind, split, seconds, seconds - EDGE_S, text, Voice(TAKE, "owner", "", ""), name)
