"""microWakeWord's pairs, ours among them: NAME.tflite with NAME.json, and NAME.sourdine.json if there is a second stage.

They run in TensorFlow Lite Micro on the firmware's features, and are judged by the firmware's rule. What the second stage
would say is kept for each step of the first; right after a wake the firmware may ask one or two features later. tflite-micro believes a file
whatever it says, so what is not a peer's own is checked by the firmware first.
"""

import dataclasses
import functools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sourdine import spec, wake
from sourdine.flatbuffer import ModelError
from sourdine_board.mistake import Mistake
from sourdine_training import features, rule
from sourdine_training.evaluate.corpus import plain
from sourdine_training.evaluate.detectors import Costs, Scores
from sourdine_training.export import run
from sourdine_training.store import digest, key

STEP_MS = 1000 * spec.HOP / spec.SAMPLE_RATE


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
    peer: bool = False
    hears: Literal["rows"] = "rows"

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
        return tuple(cutoff / 255 for cutoff in sorted({*range(2, 64, 2), *range(64, 255), own}))

    @property
    def shipped(self) -> int:
        return self.ladder.index((self.second.cutoff if self.second else self.cutoff) / 255)

    def on(self, word: str) -> "Pair":
        """The same, judged on recordings of another word than its manifest says."""
        return dataclasses.replace(self, word=plain(word))

    def stages(self) -> "list[Pair]":
        """The pair, and if it has two stages the first one alone."""
        alone = dataclasses.replace(self, name=f"{self.name}, spotter alone", second=None)
        return [self, alone] if self.second else [self]

    def listen(self, sound: NDArray[np.int8]) -> Scores:
        spotter = _interpreter(self.model, digest(self.model))
        spotter.reset()
        probabilities = spotter.steps(sound)
        if not self.second:
            return {"p": probabilities}
        answers = np.full(len(probabilities), -1, np.int16)
        verifier = _interpreter(self.second.model, digest(self.second.model))
        padded = np.concatenate([np.full((self.second.rows, spec.CHANNELS), features.ZERO, np.int8), sound])
        for step in np.flatnonzero(_smooth(probabilities, self.size) > self.second.spotter_cutoff * self.size):
            end = (step + 1) * spotter.frames + self.second.rows
            answers[step] = verifier.step(padded[end - self.second.rows : end])
        return {"p": probabilities, "v": answers}

    @property
    def rule(self) -> str:
        slices = verifier_slices(self.second.model, digest(self.second.model)) if self.second else 0
        return key(self.size, slices, Path(rule.__file__), Path(wake.__file__))

    def wakes(self, scores: Scores) -> list[NDArray[np.float64]]:
        loudest = int(_smooth(scores["p"], self.size).max(initial=0))
        found = [
            self._wakes(scores, round(255 * each)) if self.second or loudest > round(255 * each) * self.size else []
            for each in self.ladder
        ]
        return [(np.array(each, np.float64) * spec.HOP + spec.WINDOW) / spec.SAMPLE_RATE for each in found]

    def _wakes(self, scores: Scores, cutoff: int) -> NDArray[np.int64]:
        """Features at which it wakes. With a second stage the cutoff is that one's."""
        if not self.second:
            return rule.wakes(scores["p"], cutoff, self.size)
        slices = verifier_slices(self.second.model, digest(self.second.model))
        steps = rule.Steps(scores["p"], self.second.spotter_cutoff, self.size)
        return steps.wakes(lambda at: scores["v"][(at + 1) // rule.STRIDE - 1] >= cutoff, slices)

    def costs(self) -> Costs:
        try:
            first = _on_board(self.model, digest(self.model))
        except Mistake:  # another runtime's: its makers' word for it
            first = None
        files = [self.model, *([self.second.model] if self.second else [])]
        noise = np.random.default_rng(0).normal(0, 300, 10 * spec.SAMPLE_RATE).astype(np.int16)
        self.listen(features.features(noise[: spec.SAMPLE_RATE]))
        before = time.process_time()
        self.listen(features.features(noise))
        cpu = (time.process_time() - before) / 10
        second = _on_board(self.second.model, digest(self.second.model), verifier=True) if self.second else None
        size = sum(path.stat().st_size for path in files)
        if not first:
            return Costs(size, self.arena, None, cpu)
        arena = first["arena"] + (second["arena"] if second else 0)
        macs = first["macs"] / first["stride"] * 1000 / STEP_MS
        return Costs(size, arena, macs, cpu, second["macs"] if second else None)


def read(path: Path, trusted: bool = False) -> Pair:
    """The pair of a .json or .tflite. Mistake when it is none, is not complete, or is not what the firmware would run.

    trusted  the model is a peer's own, made for another runtime: only its manifest is checked
    """
    if path.suffix not in (".json", ".tflite"):
        raise Mistake(
            f"{path} is neither a .json nor a .tflite: name a model's manifest, or a peer as openwakeword:alexa"
        )
    manifest = path.with_suffix(".json")
    described = _json(manifest)
    try:
        wake.check(described)
        micro = described["micro"]
        model = manifest.with_name(described["model"])
    except ModelError as error:
        raise Mistake(f"{manifest}: {error}") from error
    if not model.exists():
        raise Mistake(f"{manifest} names {model.name}, which is not beside it: copy it there")
    word, size, cutoff = described["wake_word"], micro["sliding_window_size"], int(micro["probability_cutoff"] * 255)
    second, beside = None, manifest.with_name(f"{manifest.stem}.sourdine.json")
    try:
        verify = wake.second_stage(_json(beside)) if beside.exists() else None
    except ModelError as error:
        raise Mistake(f"{beside}: {error}") from error
    if verify:
        second = Second(
            manifest.with_name(verify["model"]),
            verify["features"],
            int(verify["spotter_cutoff"] * 255),
            int(verify["cutoff"] * 255),
        )
        if not second.model.exists():
            raise Mistake(f"{beside} names {second.model.name}, which is not beside it: copy it there")
    if not trusted:
        _on_board(model, digest(model))
        if second and (frames := _on_board(second.model, digest(second.model), verifier=True)["stride"]) != second.rows:
            raise Mistake(f"{beside}: the second stage takes {frames} features, not {second.rows}")
    return Pair(manifest.stem, plain(word), model, size, cutoff, micro["tensor_arena_size"], second)


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise Mistake(f"there is no {path}: a model is judged with the manifest that lies beside it") from None
    except ValueError as error:
        raise Mistake(f"{path} is not JSON: {error}") from error


def _smooth(probabilities: NDArray[np.uint8], size: int) -> NDArray[np.int64]:
    """Sum of the last `size` probabilities at each step; before the first one there were zeros."""
    total = np.concatenate([np.zeros(size, np.int64), np.cumsum(probabilities, dtype=np.int64)])
    return total[size:] - total[:-size]


@functools.lru_cache(maxsize=8)
def _interpreter(model: Path, _version: str) -> run.Reference:
    return run.Reference(model.read_bytes())


@functools.lru_cache(maxsize=16)
def _on_board(model: Path, _version: str, verifier: bool = False) -> dict[str, int]:
    """What a model costs the firmware, by its own code: macs, arena, stride, slices. Mistake with its reason if it refuses."""
    nothing = np.empty((0, 0, spec.CHANNELS), np.int8)
    try:
        return run.on_board(model.read_bytes(), nothing, verifier)[1]
    except Mistake as error:
        raise Mistake(f"{model}: {error}") from error


def verifier_slices(model: Path, version: str) -> int:
    """Features that pass while the second stage thinks: a slice of it is done with each."""
    return _on_board(model, version, verifier=True)["slices"]
