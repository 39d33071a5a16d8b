"""What happens in a scene: who says what when, and what disturbs. Rooms and microphones then make it heard."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import soundfile
import soxr

from sourdine import spec
from sourdine_training import rooms
from sourdine_training.rooms import Bed
from sourdine_training.rooms.microphone import Signal, decibels
from sourdine_training.sources.audio import at_loudness

RATE = spec.SAMPLE_RATE
CUT_S = 20.0  # of a recording that a palette holds
DISTURBANCES = {"none": 0.3, "ambience": 0.17, "music": 0.15, "babble": 0.15, "speech": 0.12, "tv": 0.11}


@dataclasses.dataclass(frozen=True)
class Word:
    """A clip of somebody who speaks: 16 kHz, mono."""

    path: str
    end_s: float  # when the last sound ends
    key: str
    index: int = -1  # in the list of clips that the pool was built from

    def read(self) -> Signal:
        samples = soundfile.read(self.path, dtype="float32", always_2d=True)[0][:, 0]
        return at_loudness(samples) if samples.any() else samples


@dataclasses.dataclass(frozen=True)
class Palette:
    """Sounds of one side of the split, to disturb with and to talk with. Any list may be empty."""

    sayings: Sequence[Signal]
    speech: Sequence[Signal]
    music: Sequence[Signal]
    ambience: Sequence[Signal]

    @classmethod
    def read(
        cls, rng: np.random.Generator, sayings: Sequence[Word], recordings: dict[str, Sequence[tuple[str, float]]]
    ) -> "Palette":
        """`recordings`: kind → (path, seconds); of each a cut of at most CUT_S."""
        cuts = {kind: [_cut(rng, *each) for each in listed] for kind, listed in sorted(recordings.items())}
        return cls([each.read() for each in sayings], *(cuts.get(kind, ()) for kind in ("speech", "music", "ambience")))

    def beds(self, rng: np.random.Generator, length: int, kind: str = "") -> list[Bed]:
        """What disturbs for so many samples: one of DISTURBANCES, drawn unless it is named. None if there is none."""
        kind = kind or str(rng.choice(list(DISTURBANCES), p=list(DISTURBANCES.values())))
        talk = self.speech or self.sayings
        if kind == "ambience" and self.ambience:
            return [Bed(_stretch(rng, _any(rng, self.ambience), length), diffuse=bool(rng.random() < 0.5))]
        if kind == "music" and self.music:
            return [Bed(_stretch(rng, _any(rng, self.music), length), diffuse=bool(rng.random() < 0.3))]
        if kind == "babble" and talk:
            return [Bed(self.babble(rng, length), diffuse=bool(rng.random() < 0.5))]
        if kind == "speech" and talk:
            return [Bed(self.talk(rng, length))]
        if kind == "tv" and talk and self.music:
            under = decibels(rng.uniform(-18, -3)) * _stretch(rng, _any(rng, self.music), length)
            return [Bed(self.talk(rng, length) + under)]
        return []

    def babble(self, rng: np.random.Generator, length: int) -> Signal:
        """Three to eight who talk at once."""
        return np.sum(
            [decibels(rng.uniform(-8, 0)) * self.talk(rng, length) for _ in range(rng.integers(3, 9))], axis=0
        ).astype(np.float32)

    def talk(self, rng: np.random.Generator, length: int) -> Signal:
        """One who goes on talking: a recording, or one saying after the other."""
        if self.speech and (not self.sayings or rng.random() < 0.6):
            return _stretch(rng, _any(rng, self.speech), length)
        line = np.zeros(length, np.float32)
        for samples, at in conversation(rng, self.sayings, length, (0.05, 0.6)):
            part = samples[max(0, -at) : max(0, length - at)]
            line[max(0, at) :][: len(part)] += part
        return line


def conversation(
    rng: np.random.Generator, sayings: Sequence[Signal], length: int, pause_s: tuple[float, float]
) -> list[tuple[Signal, int]]:
    """Sayings one after the other for so many samples; the first has begun before."""
    told, at = [], -int(rng.uniform(0, RATE))
    while at < length:
        samples = _any(rng, sayings)
        told.append((samples * decibels(rng.uniform(-4, 4)), at))
        at += len(samples) + int(rng.uniform(*pause_s) * RATE)
    return told


def spoken(
    rng: np.random.Generator, word: Signal, end: int, at_end: int, palette: Palette, options: rooms.Options
) -> list[tuple[Signal, int]]:
    """A word whose sample `end` arrives at `at_end`, faster or slower; often a command follows, sometimes one precedes."""
    word, end = sped(rng, word, end, options)
    at = at_end - end
    told = [(word, at)]
    if palette.sayings and rng.random() < 0.5:
        samples = _any(rng, palette.sayings) * decibels(rng.uniform(-6, 3))
        told.append((samples, at_end + int(rng.uniform(0, 0.5) * RATE)))
    if palette.sayings and rng.random() < 0.25:
        samples = _any(rng, palette.sayings) * decibels(rng.uniform(-6, 3))
        told.append((samples, at - len(samples) - int(rng.uniform(0.05, 0.8) * RATE)))
    return told


def sped(rng: np.random.Generator, samples: Signal, end: int, options: rooms.Options) -> tuple[Signal, int]:
    """At another speed, pitch and formants with it: a shorter or longer throat. `end` moves along."""
    low, high = options.speed
    speed = float(np.exp(np.clip(rng.normal(0, 0.06), np.log(low), np.log(high)))) if rng.random() < 0.75 else 1.0
    if speed == 1.0:
        return samples, end
    return soxr.resample(samples, RATE * speed, RATE, quality="LQ"), round(end / speed)


def _cut(rng: np.random.Generator, path: str, seconds: float) -> Signal:
    start = int(rng.uniform(0, max(0.0, seconds - CUT_S)) * RATE)
    return soundfile.read(path, int(CUT_S * RATE), start, dtype="float32", always_2d=True)[0][:, 0]


def _stretch(rng: np.random.Generator, samples: Signal, length: int) -> Signal:
    """So many samples from anywhere in a sound that begins anew when it ends."""
    start = int(rng.integers(len(samples)))
    return np.resize(np.roll(samples, -start), length)


def _any(rng: np.random.Generator, sounds: Sequence[Signal]) -> Signal:
    return sounds[int(rng.integers(len(sounds)))]
