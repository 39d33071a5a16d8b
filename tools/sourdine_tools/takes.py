"""What makes a recording of a wake word worth training on, and where in it the word is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from sourdine import spec

RATE = spec.SAMPLE_RATE
FRAME = RATE // 100
MARGIN_S = 0.15  # kept before and after the word
ABOVE_DB = 12.0  # louder than the room by this is speech; less than this in all is too quiet to train on
BRIDGE_S = 0.3  # pauses up to this are part of the word
FLOOR_DBFS = -62.0  # the loudest of a take below this is not speech into this microphone
SHORTEST_S, LONGEST_S = 0.25, 2.0
CLIPPED = 8  # samples at full scale; fewer are not heard


@dataclass(frozen=True)
class Take:
    """int16 samples around the word; `loudness` of it in dBFS, and `trouble` in words, "" when it is good."""

    samples: np.ndarray
    loudness: float
    trouble: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def listen(samples: np.ndarray) -> Take:
    """Find the word in what was recorded around it, and say what is wrong with it."""
    level = levels(samples)
    if not len(level) or not samples.any():
        return Take(samples, -99.0, "the microphone was silent: is it on?")
    floor, top = np.percentile(level, 10), np.percentile(level, 98)
    loud = np.flatnonzero(level > min(floor + ABOVE_DB, top - 6))
    if top < FLOOR_DBFS or top - floor < ABOVE_DB:
        return Take(samples, float(top), "too quiet: come nearer or speak up")
    first, last = _word(loud, level)
    start = max(0, first * FRAME - round(MARGIN_S * RATE))
    end = min(len(samples), (last + 1) * FRAME + round(MARGIN_S * RATE))
    word = samples[start:end]
    return Take(word, float(top), _trouble(word, first, last, len(level)))


def levels(samples: np.ndarray) -> np.ndarray:
    """Loudness of each 10 ms, dBFS, at least -99."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64) / 32768
    return 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1.3e-10))


def _word(loud: np.ndarray, level: np.ndarray) -> tuple[int, int]:
    """First and last frame of the stretch with most energy; pauses of BRIDGE_S do not end one."""
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > BRIDGE_S * 100) + 1)
    best = max(stretches, key=lambda frames: (10 ** (level[frames] / 10)).sum())
    return int(best[0]), int(best[-1])


def _trouble(word: np.ndarray, first: int, last: int, frames: int) -> str:
    if np.count_nonzero(np.abs(word.astype(np.int32)) >= 32767) >= CLIPPED:
        return "too loud, it clips: go further away"
    if first == 0 or last == frames - 1:
        return "cut off: say it between the prompt and the end"
    seconds = (last - first + 1) / 100
    if seconds < SHORTEST_S:
        return f"too short ({seconds:.2f} s): say the whole phrase"
    if seconds > LONGEST_S:
        return f"too long ({seconds:.1f} s): say only the phrase"
    return ""


def save(take: Take, folder: Path) -> Path:
    """Write take_001.wav or the next number that is free: 16 kHz, 16 bit, one channel."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [path.stem.partition("_")[2] for path in folder.glob("take_*.wav")]
    number = max((int(number) for number in numbers if number.isdigit()), default=0) + 1
    path = folder / f"take_{number:03d}.wav"
    soundfile.write(path, take.samples, RATE, subtype="PCM_16")
    return path
