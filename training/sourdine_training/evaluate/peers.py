"""The others, each from its wheel and by its own rule; one that is not installed is left out with a line.

microWakeWord   pymicro-wakeword's models, as Pair runs them: TFLM and the firmware's rule instead of its own
openWakeWord    pyopen-wakeword, a step each 80 ms
Porcupine       1.9.5, the last that needs no account; its sensitivity is fixed when it is made, so one is made that
                knows the word once for each rung of the ladder
"""

import contextlib
import ctypes
import dataclasses
import functools
import importlib.metadata
import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sourdine import spec
from sourdine_board.mistake import Mistake
from sourdine_training.evaluate import pairs
from sourdine_training.evaluate.corpus import plain
from sourdine_training.evaluate.detectors import Costs, Detector, Scores
from sourdine_training.store import key

NOT_THE_SAME = {  # a word → what some peers know instead; a recording of the one is not one of the other
    "jarvis": "hey_jarvis",
    "mycroft": "hey_mycroft",
}


def installed(package: str) -> str | None:
    """Its version."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def microwakeword(word: str) -> Detector | None:
    found = importlib.util.find_spec("pymicro_wakeword")
    assert found and found.origin
    path = Path(found.origin).parent / "models" / f"{word}.json"
    if not path.exists():
        return None
    return dataclasses.replace(pairs.read(path, trusted=True), name="microWakeWord", word=word, peer=True)


@dataclass(frozen=True)
class OpenWakeWord:
    word: str
    version: str
    name: str = "openWakeWord"
    unit: str = "threshold"
    peer: bool = True
    rule: str = "above"
    hears: Literal["samples"] = "samples"

    @property
    def key(self) -> str:
        return key("openwakeword", 1, self.version, self.word)

    @property
    def ladder(self) -> tuple[float, ...]:
        return _THRESHOLDS

    @property
    def shipped(self) -> int:
        return _THRESHOLDS.index(0.5)

    def listen(self, sound: NDArray[np.int16]) -> Scores:
        return {"p": np.array(_open_ears(self.word).run(sound), np.float32)}

    def wakes(self, scores: Scores) -> list[NDArray[np.float64]]:
        every = np.arange(1.0, len(scores["p"]) + 1, dtype=np.float64) * (_CHUNK / spec.SAMPLE_RATE)
        return [every[scores["p"] > each] for each in self.ladder]

    def costs(self) -> Costs:
        found = importlib.util.find_spec("pyopen_wakeword")
        assert found and found.origin
        models = Path(found.origin).parent / "models"
        names = ("melspectrogram", "embedding_model", self.word)
        size = sum((models / f"{name}.tflite").stat().st_size for name in names)
        return Costs(size, None, 525e6, _cpu(self.listen, 10))


_CHUNK = 1280  # samples, 80 ms
_THRESHOLDS = tuple(sorted({0.5, *np.round(1 / (1 + np.exp(-np.linspace(-5, 10, 151))), 6).tolist()}))


class _OpenEars:
    """openWakeWord that starts as after a reset, but does not compute anew the eight seconds of silence that fill it."""

    def __init__(self, word: str) -> None:
        from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

        self._ears, self._model = OpenWakeWordFeatures.from_builtin(), OpenWakeWord.from_builtin(Model(word))
        self._hear(np.zeros(_CHUNK, np.int16))
        parts = ((self._ears, "audio new_audio_samples mels new_mels"), (self._model, "embeddings new_embeddings"))
        self._fresh = [(part, name, _copied(getattr(part, name))) for part, names in parts for name in names.split()]

    def _hear(self, chunk: NDArray[np.int16]) -> list[float]:
        heard = self._ears.process_streaming(chunk.tobytes())
        return [float(score) for embeddings in heard for score in self._model.process_streaming(embeddings)]

    def run(self, sound: NDArray[np.int16]) -> list[float]:
        """A score for each whole chunk: the highest, where one gives several."""
        for part, name, value in self._fresh:
            setattr(part, name, _copied(value))
        chunks = len(sound) // _CHUNK
        return [max(self._hear(each), default=0.0) for each in sound[: chunks * _CHUNK].reshape(chunks, _CHUNK)]


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


@functools.lru_cache(maxsize=2)
def _open_ears(word: str) -> _OpenEars:
    return _OpenEars(word)


def openwakeword(word: str) -> Detector | None:
    from pyopen_wakeword import Model

    return OpenWakeWord(word, str(installed("pyopen-wakeword"))) if word in {each.value for each in Model} else None


@dataclass(frozen=True)
class Porcupine:
    word: str
    version: str
    name: str = "Porcupine"
    unit: str = "sensitivity"
    peer: bool = True
    rule: str = "its own"
    ladder: tuple[float, ...] = tuple(round(1 - 0.05 * i, 2) for i in range(19))
    hears: Literal["samples"] = "samples"

    @property
    def key(self) -> str:
        return key("porcupine", 2, self.version, self.word, self.ladder)

    @property
    def shipped(self) -> int:
        return self.ladder.index(0.5)

    def listen(self, sound: NDArray[np.int16]) -> Scores:
        found = porcupine_frames(self.word, self.ladder, sound)
        return {"frames": np.array(found, np.int32).reshape(-1, 2)}

    def wakes(self, scores: Scores) -> list[NDArray[np.float64]]:
        rungs, frames = scores["frames"].T
        return [(frames[rungs >= each] + 1.0) * (512 / spec.SAMPLE_RATE) for each in range(len(self.ladder))]

    def costs(self) -> Costs:
        import pvporcupine

        files = (pvporcupine.LIBRARY_PATH, pvporcupine.MODEL_PATH, pvporcupine.KEYWORD_PATHS[_spoken(self.word)])
        cpu = _cpu(lambda noise: porcupine_frames(self.word, [0.5], noise), 10)
        return Costs(sum(Path(each).stat().st_size for each in files), None, None, cpu)


def _spoken(word: str) -> str:
    return word.replace("_", " ")


def porcupine_frames(word: str, sensitivities: Sequence[float], sound: NDArray[np.int16]) -> list[tuple[int, int]]:
    """(which sensitivity, frame of 512 samples) of what a Porcupine that has heard nothing before reports.

    sensitivities  the highest first. Of those that hear the word in one frame Porcupine reports the last, so all
                   before it hear it too, then or a frame earlier.
    """
    import pvporcupine

    paths = [pvporcupine.KEYWORD_PATHS[_spoken(word)]] * len(sensitivities)
    ears = pvporcupine.create(keyword_paths=paths, sensitivities=list(sensitivities))
    try:
        size, heard, keyword = ears.frame_length, [], ctypes.c_int()
        sound = np.ascontiguousarray(sound)
        begin, process, handle = sound.ctypes.data, ears.process_func, ears._handle
        kind = ctypes.POINTER(ctypes.c_short)
        for frame in range(len(sound) // size):
            process(handle, ctypes.cast(begin + 2 * size * frame, kind), ctypes.byref(keyword))
            if keyword.value >= 0:
                heard.append((keyword.value, frame))
        return heard
    finally:
        ears.delete()
        _close(paths[0])


def _close(path: str) -> None:
    """Close the file wherever it is open in this process: Porcupine never does, and would soon run out of them."""
    for number in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with contextlib.suppress(OSError):
            if os.path.samefile(f"/proc/self/fd/{number}", path):
                os.close(int(number))


def porcupine(word: str) -> Detector | None:
    import pvporcupine

    return Porcupine(word, str(installed("pvporcupine"))) if _spoken(word) in pvporcupine.KEYWORDS else None


PEERS: dict[str, tuple[str, Callable[[str], Detector | None]]] = {  # name → its package, and how to make one
    "microwakeword": ("pymicro-wakeword", microwakeword),
    "openwakeword": ("pyopen-wakeword", openwakeword),
    "porcupine": ("pvporcupine", porcupine),
}


def every(word: str) -> tuple[list[Detector], list[str]]:
    """The peers that know a word, and a line about each that does not or is not there."""
    found, notes = [], []
    for name, (package, make) in PEERS.items():
        if not installed(package):
            notes.append(f"{name} is left out: pip install -e '.[peers]' brings {package}")
        elif detector := make(word):
            found.append(detector)
        elif (other := NOT_THE_SAME.get(word)) and make(other):
            notes.append(f"{name} knows only {_spoken(other)!r}, which nobody says here: not comparable, left out")
        else:
            notes.append(f"{name} has no model of {_spoken(word)!r}: left out")
    return found, notes


def named(text: str) -> Detector:
    """openwakeword:alexa. Mistake when there is none."""
    name, _, word = text.partition(":")
    if name not in PEERS:
        raise Mistake(f"there is no peer {name}: choose of {', '.join(PEERS)}")
    package, make = PEERS[name]
    if not installed(package):
        raise Mistake(f"{name} is not installed: pip install -e '.[peers]'")
    detector = make(plain(word))
    if detector is None:
        raise Mistake(f"{name} has no model of {_spoken(word)!r}: leave it out")
    return detector


def _cpu(listen: Callable[[NDArray[np.int16]], object], seconds: int) -> float:
    """Seconds of this machine per second of sound."""
    noise = np.random.default_rng(0).normal(0, 300, seconds * spec.SAMPLE_RATE).astype(np.int16)
    listen(noise[: spec.SAMPLE_RATE])
    before = time.process_time()
    listen(noise)
    return (time.process_time() - before) / seconds
