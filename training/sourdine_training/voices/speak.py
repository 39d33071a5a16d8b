"""Sayings made into clips, each once."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sourdine import spec
from sourdine_board.mistake import Mistake

from ..executor import Executor
from ..store import Store
from .engine import Sound, Unmade, Unspoken, engine
from .saying import Saying
from .trim import EDGE_S, trim
from .voice import Voice
from .warp import warp

ROOM, SOUND, SILENT = "voices", ".flac", ".none"  # in the store; what is SILENT is known not to come out, and why
SHORTEST_S = 0.1
LONGEST_S = {"positive": 4.0, "near": 4.0, "partial": 4.0}  # other kinds are sentences:
SENTENCE_S = 30.0
CEILING = 0.99  # of full scale, for a voice that is louder
Progress = Callable[[int, int, str], object]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A FLAC file, int16 mono at spec.SAMPLE_RATE, from 50 ms before its first sound to 50 ms after its last."""

    path: Path
    kind: str
    split: str  # "train", "valid"
    seconds: float
    end_s: float  # where the last sound ends
    text: str
    voice: Voice
    key: str


@dataclass(frozen=True)
class _Task:
    store: Store
    takes: tuple[tuple[Saying, ...], ...]  # each: what is made of one sound, with or without warps


def speak(
    sayings: Iterable[Saying], store: Store, executor: Executor, progress: Progress = lambda *_: None
) -> list[Clip]:
    """The clips of all that could be said, in order, each once. What there is already is not made again.

    An engine that is missing is named once and left out with all it was to say; so is each clip that is silent, too
    long or refused. What was only stopped is tried twice, and again in the next run. Killed and begun again, it goes on
    where it was.
    """
    wanted: dict[str, Saying] = {}
    takes: dict[str, list[Saying]] = defaultdict(list)
    missing: set[str] = set()
    for saying in sayings:
        name = saying.voice.engine
        if name in missing:
            continue
        try:
            key = saying.key
        except Mistake as why:
            missing.add(name)
            log.warning("%s is left out: %s", name, why)
            continue
        if key not in wanted:
            wanted[key] = saying
            if not _known(store, key):
                takes[saying.plain.key].append(saying)
    done, total = len(wanted) - sum(map(len, takes.values())), len(wanted)
    progress(done, total, "clips")
    for made, what in executor.map(_make, _tasks(store, takes.values())):
        done += made
        progress(done, total, what)
    return [clip for key, saying in wanted.items() if (clip := _clip(store, key, saying))]


def samples_of(clip: Clip) -> np.ndarray:
    """int16 [n] of a clip."""
    return soundfile.read(clip.path, dtype="int16")[0]


def _known(store: Store, key: str) -> bool:
    return store.path(ROOM, key, SOUND).exists() or store.path(ROOM, key, SILENT).exists()


def _tasks(store: Store, takes: Iterable[Sequence[Saying]]) -> Iterator[_Task]:
    by_engine: dict[str, list[tuple[Saying, ...]]] = defaultdict(list)
    for take in takes:
        by_engine[take[0].voice.engine].append(tuple(take))
    for name, queue in by_engine.items():
        size = engine(name).batch
        for at in range(0, len(queue), size):
            yield _Task(store, tuple(queue[at : at + size]))


def _make(task: _Task) -> tuple[int, str]:
    """Speak, cut, warp and keep. Returns how many sayings are settled, and by what engine."""
    store, name = task.store, task.takes[0][0].voice.engine
    unsaid = {take[0].plain.key: take[0].plain for take in task.takes}
    unsaid = {key: saying for key, saying in unsaid.items() if not _known(store, key)}
    for (key, saying), sound in zip(unsaid.items(), _say(name, list(unsaid.values()), store), strict=True):
        if sound is None:
            continue
        if isinstance(sound, str):
            _refuse(store, key, sound)
            continue
        samples, rate = sound
        if rate != spec.SAMPLE_RATE:
            samples = soxr.resample(samples, rate, spec.SAMPLE_RATE)
        _keep(store, key, samples, saying)
    for take in task.takes:
        _warp(store, take)
    return sum(map(len, task.takes)), name


def _say(name: str, sayings: list[Saying], store: Store, again: bool = True) -> list[Sound | str | None]:
    """The sound of each, or why there is none; None for what did not succeed today, asked alone and twice."""
    try:
        return list(engine(name).say(sayings, store)) if sayings else []
    except (Unspoken, Unmade) as why:
        if len(sayings) > 1:
            return [sound for saying in sayings for sound in _say(name, [saying], store)]
        if isinstance(why, Unspoken):
            return [str(why)]
        return _say(name, sayings, store, again=False) if again else [None]


def _warp(store: Store, take: Sequence[Saying]) -> None:
    if not _known(store, take[0].plain.key):
        return
    plain = store.path(ROOM, take[0].plain.key, SOUND)
    samples = soundfile.read(plain, dtype="float32")[0] if plain.exists() else None
    for saying in take:
        if not saying.warped or _known(store, saying.key):
            continue
        if samples is None:
            _refuse(store, saying.key, "its plain clip did not come out")
        else:
            _keep(store, saying.key, warp(samples, spec.SAMPLE_RATE, *saying.warp), saying)


def _keep(store: Store, key: str, samples: np.ndarray, saying: Saying) -> None:
    """The clip of a sound at spec.SAMPLE_RATE, or why there is none."""
    cut = trim(samples, spec.SAMPLE_RATE) if np.isfinite(samples).all() else None
    if cut is None:
        return _refuse(store, key, "it is silent")
    seconds, longest = len(cut) / spec.SAMPLE_RATE, LONGEST_S.get(saying.line.kind, SENTENCE_S)
    if not SHORTEST_S < seconds - 2 * EDGE_S < longest:
        return _refuse(store, key, f"it lasts {seconds:.1f} s")
    cut = cut * min(1.0, CEILING / float(np.abs(cut).max()))
    with store.writing(store.path(ROOM, key, SOUND)) as path:
        soundfile.write(path, np.rint(cut * 32767).astype(np.int16), spec.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return None


def _refuse(store: Store, key: str, why: str) -> None:
    with store.writing(store.path(ROOM, key, SILENT)) as path:
        path.write_text(why, encoding="utf-8")


def _clip(store: Store, key: str, saying: Saying) -> Clip | None:
    path = store.path(ROOM, key, SOUND)
    if not path.exists():
        silent = store.path(ROOM, key, SILENT)
        why = silent.read_text(encoding="utf-8") if silent.exists() else "it was stopped twice; run this again for it"
        log.warning("“%s” by %s %s is left out: %s", saying.line.text, saying.voice.engine, saying.voice.name, why)
        return None
    seconds = soundfile.info(path).frames / spec.SAMPLE_RATE
    line, voice = saying.line, saying.voice
    return Clip(path, line.kind, voice.split, seconds, seconds - EDGE_S, line.text, voice, key)
