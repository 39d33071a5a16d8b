"""What is judged: something that hears a piece of sound once, and then says when it wakes, at any threshold.

Ours and every other microWakeWord pair (NAME.json, NAME.tflite) run in TensorFlow Lite Micro, on the firmware's
features and under the firmware's rule, with the second stage when NAME.sourdine.json names one.
"""

import dataclasses
import functools
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sourdine import spec, wake
from sourdine_board.mistake import Mistake
from sourdine_training import features
from sourdine_training.evaluate import reels, rule
from sourdine_training.evaluate.corpus import plain
from sourdine_training.evaluate.counts import apart
from sourdine_training.store import Store, digest, key

Scores = dict[str, NDArray[Any]]  # what a detector keeps of one piece, by name

ROWS_S = spec.HOP / spec.SAMPLE_RATE
STEP_MS = 1000 * ROWS_S
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
    hears: ClassVar[Literal["rows", "samples"]]  # what listen() takes: int8 features [n, 40], or int16 samples

    @property
    def name(self) -> str: ...
    @property
    def word(self) -> str: ...
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
class Second:
    """The second stage of a pair."""

    model: Path
    rows: int  # features that it looks at
    spotter_cutoff: int  # 0..255, of the first stage when the second one follows
    cutoff: int  # 0..255


@dataclass(frozen=True)
class Pair:
    """A microWakeWord model and its manifest."""

    name: str
    word: str
    model: Path
    size: int  # of the sliding window
    cutoff: int  # 0..255, of the spotter alone
    arena: int  # bytes, by the manifest
    second: Second | None = None
    hears: ClassVar[Literal["rows"]] = "rows"

    @property
    def key(self) -> str:
        kept = self.second and [digest(self.second.model), self.second.rows, self.second.spotter_cutoff, self.size]
        return key("pair", 1, digest(self.model), kept)

    @property
    def unit(self) -> str:
        return "verifier's cutoff" if self.second else "cutoff"

    @property
    def ladder(self) -> tuple[float, ...]:
        own = self.second.cutoff if self.second else self.cutoff
        return tuple(cutoff / 255 for cutoff in sorted({*range(4, 124, 4), *range(124, 255), own}))

    @property
    def shipped(self) -> int:
        return self.ladder.index((self.second.cutoff if self.second else self.cutoff) / 255)

    def alone(self) -> "Pair":
        """The same without its second stage."""
        return dataclasses.replace(self, name=f"{self.name}, spotter alone", second=None)

    def listen(self, sound: NDArray[np.int8]) -> Scores:
        spotter = _interpreter(self.model, digest(self.model))
        probabilities = spotter.run(sound)
        if not self.second:
            return {"p": probabilities}
        answers = np.full(len(probabilities), -1, np.int16)
        verifier = _interpreter(self.second.model, digest(self.second.model))
        padded = np.concatenate([np.full((self.second.rows, spec.CHANNELS), features.ZERO, np.int8), sound])
        for step in np.flatnonzero(rule.smooth(probabilities, self.size) > self.second.spotter_cutoff * self.size):
            end = (step + 1) * spotter.stride + self.second.rows
            answers[step] = verifier.step(padded[end - self.second.rows : end])
        return {"p": probabilities, "v": answers}

    @property
    def rule(self) -> str:
        return f"{self.size} {verifier_turns(self.second.model, digest(self.second.model)) if self.second else 0}"

    def wakes(self, scores: Scores) -> list[NDArray[np.float64]]:
        if self.second:
            turns = verifier_turns(self.second.model, digest(self.second.model))
            judged = rule.Judged(scores["p"], self.size, verified=scores["v"], lag=turns)
            found = [judged.wakes(self.second.spotter_cutoff, round(255 * each)) for each in self.ladder]
        else:
            judged = rule.Judged(scores["p"], self.size)
            found = [judged.wakes(round(255 * each)) for each in self.ladder]
        return [(np.array(each, float) * spec.HOP + spec.WINDOW) / spec.SAMPLE_RATE for each in found]

    def costs(self) -> Costs:
        first = _on_board(self.model, digest(self.model))
        files = [self.model, *([self.second.model] if self.second else [])]
        noise = np.random.default_rng(0).normal(0, 300, 10 * spec.SAMPLE_RATE).astype(np.int16)
        self.listen(features.features(noise[: spec.SAMPLE_RATE]))
        before = time.process_time()
        self.listen(features.features(noise))
        cpu = (time.process_time() - before) / 10
        second = _on_board(self.second.model, digest(self.second.model), VERIFIER) if self.second else None
        arena = first["arena"] + (second["arena"] if second else 0)
        size = sum(path.stat().st_size for path in files)
        macs = first["macs"] / first["stride"] * 1000 / STEP_MS
        return Costs(size, arena, macs, cpu, second["macs"] if second else None)


def read(path: Path) -> Pair:
    """The pair of a .json or .tflite. Mistake when it is none, or not complete."""
    if path.suffix not in (".json", ".tflite"):
        raise Mistake(
            f"{path} is neither a .json nor a .tflite: name a model's manifest, or a peer as openwakeword:alexa"
        )
    manifest = path.with_suffix(".json")
    described = _json(manifest)
    try:
        wake._check(described)
        micro = described["micro"]
        model = manifest.with_name(described["model"])
    except wake.ModelError as error:
        raise Mistake(f"{manifest}: {error}") from error
    if not model.exists():
        raise Mistake(f"{manifest} names {model.name}, which is not beside it: copy it there")
    word, size, cutoff = described["wake_word"], micro["sliding_window_size"], int(micro["probability_cutoff"] * 255)
    second, beside = None, manifest.with_name(f"{manifest.stem}.sourdine.json")
    if beside.exists() and (verify := _json(beside).get("verify")):
        second = Second(
            manifest.with_name(verify["model"]),
            verify["features"],
            int(verify["spotter_cutoff"] * 255),
            int(verify["cutoff"] * 255),
        )
        if not second.model.exists():
            raise Mistake(f"{beside} names {second.model.name}, which is not beside it: copy it there")
    return Pair(manifest.stem, plain(word), model, size, cutoff, micro["tensor_arena_size"], second)


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise Mistake(f"there is no {path}: a model is judged with the manifest that lies beside it") from None
    except ValueError as error:
        raise Mistake(f"{path} is not JSON: {error}") from error


def stages(detector: Detector) -> list[Detector]:
    """The detector, and if it has two stages the first one alone."""
    return [detector, detector.alone()] if isinstance(detector, Pair) and detector.second else [detector]


def for_word(detector: Detector, word: str) -> Detector:
    """The same, judged on recordings of another word than its manifest says."""
    return dataclasses.replace(detector, word=plain(word)) if isinstance(detector, Pair) else detector


class _Interpreter:
    """TensorFlow Lite Micro with one model in it."""

    def __init__(self, data: bytes) -> None:
        from tflite_micro.python.tflite_micro import runtime

        self._micro = runtime.Interpreter.from_bytes(data, arena_size=1 << 21)
        self._shape = tuple(int(n) for n in self._micro.get_input_details(0)["shape"])
        self.stride = self._shape[1]

    def step(self, rows: NDArray[np.int8]) -> int:
        self._micro.set_input(rows.reshape(self._shape), 0)
        self._micro.invoke()
        return int(self._micro.get_output(0).reshape(-1)[0])

    def run(self, rows: NDArray[np.int8]) -> NDArray[np.uint8]:
        """Probabilities of all whole steps from a fresh start."""
        self._micro.reset()
        steps = len(rows) // self.stride
        parts = rows[: steps * self.stride].reshape(steps, *self._shape)
        set_input, invoke, get_output = self._micro.set_input, self._micro.invoke, self._micro.get_output
        found = np.empty(steps, np.uint8)
        for i in range(steps):
            set_input(parts[i], 0)
            invoke()
            found[i] = get_output(0)[0, 0]
        return found


@functools.lru_cache(maxsize=8)
def _interpreter(model: Path, _version: str) -> _Interpreter:
    return _Interpreter(model.read_bytes())


VERIFIER = "verifier.Verifier"  # the firmware's class for a second stage
_MEASURE = """
import sys, json
sys.path.insert(0, sys.argv[1])
room, kind = sys.argv[3].split(".")
with open(sys.argv[2], "rb") as file:
    model = getattr(getattr(__import__("sourdine." + room), room), kind)(file)
turns = 0
if kind == "Verifier":
    model.begin()
    turns = 1
    while model.advance() < 0:
        turns += 1
print(json.dumps({"macs": model.macs, "arena": model.arena, "stride": model.stride, "turns": turns}))
"""


@functools.lru_cache(maxsize=16)
def _on_board(model: Path, _version: str, kind: str = "tflite.Model") -> dict[str, int]:
    """What a model costs the firmware, by the firmware itself under MicroPython: macs, arena, stride, turns of a step."""
    firmware = Path(wake.__file__).parents[1]
    program = Path(sys.executable).with_name("micropython")
    done = subprocess.run([program, "-c", _MEASURE, firmware, model, kind], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Mistake(f"{model} does not run in the firmware: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def verifier_turns(model: Path, version: str) -> int:
    """Features that pass while the second stage thinks: a slice of it is done with each."""
    return _on_board(model, version, VERIFIER)["turns"]


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
            np.savez_compressed(scratch, **arrays)
    with np.load(path) as kept:
        names = [name for name in kept.files if not name.endswith(" lengths")]
        split = {name: np.split(kept[name], np.cumsum(kept[f"{name} lengths"])[:-1]) for name in names}
        return [{name: split[name][i] for name in names} for i in range(len(reel.pieces))]
