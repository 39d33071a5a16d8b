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
CUT_S = {"speech": 8.0, "music": 20.0, "ambience": 20.0}  # of a recording that a palette holds, at most
TURN_S = (3.0, 6.0)  # of a recording until somebody else speaks
FADE = RATE // 50  # samples at both ends of what is cut out of speech, so that it does not click
REAL = 0.5  # share of what is said before and after a word that people say, not engines
WORD_S = 1.3  # the longest that a word may last: a net hears 1.4 s
EDGE_S = 0.05  # of silence at both ends of a clip
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
        cuts = {kind: [_cut(rng, *each, CUT_S[kind]) for each in listed] for kind, listed in sorted(recordings.items())}
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
        """Talk that goes on: recordings, or one saying after the other."""
        line = np.zeros(length, np.float32)
        for samples, at in self.conversation(rng, length, 0.6, (0.05, 0.6)):
            part = samples[max(0, -at) : max(0, length - at)]
            line[max(0, at) :][: len(part)] += part
        return line

    def conversation(
        self, rng: np.random.Generator, length: int, real: float, pause_s: tuple[float, float]
    ) -> list[tuple[Signal, int]]:
        """One after the other for so many samples, the first has begun before: people with the probability `real`."""
        people = bool(self.speech) and (not self.sayings or rng.random() < real)
        told, at = [], -int(rng.uniform(0, RATE))
        while at < length:
            samples = _turn(rng, _any(rng, self.speech)) if people else _any(rng, self.sayings)
            told.append((samples * decibels(rng.uniform(-4, 4)), at))
            at += len(samples) + int(rng.uniform(*pause_s) * RATE)
        return told

    def remark(self, rng: np.random.Generator) -> Signal:
        """What is said before or after a word, REAL of it by people."""
        people = bool(self.speech) and (not self.sayings or rng.random() < REAL)
        return _turn(rng, _any(rng, self.speech)) if people else _any(rng, self.sayings)


def spoken(
    rng: np.random.Generator,
    word: Signal,
    end: int,
    at_end: int,
    palette: Palette,
    options: rooms.Options,
    longest_s: float = WORD_S,
) -> list[tuple[Signal, int]]:
    """A word whose sample `end` arrives at `at_end`, faster or slower; often a command follows, sometimes one precedes."""
    word, end = sped(rng, word, end, options, longest_s)
    at = at_end - end
    told = [(word, at)]
    talk = bool(palette.sayings or palette.speech)
    if talk and rng.random() < 0.5:
        samples = palette.remark(rng) * decibels(rng.uniform(-6, 3))
        told.append((samples, at_end + int(rng.uniform(0, 0.5) * RATE)))
    if talk and rng.random() < 0.25:
        samples = palette.remark(rng) * decibels(rng.uniform(-6, 3))
        told.append((samples, at - len(samples) - int(rng.uniform(0.05, 0.8) * RATE)))
    return told


def sped(
    rng: np.random.Generator, samples: Signal, end: int, options: rooms.Options, longest_s: float = np.inf
) -> tuple[Signal, int]:
    """At another speed, pitch and formants with it: a shorter or longer throat. `end` moves along.

    What lasts longer than `longest_s` is hurried as much as options.speed allows.
    """
    low, high = options.speed
    speed = float(np.exp(np.clip(rng.normal(0, 0.06), np.log(low), np.log(high)))) if rng.random() < 0.75 else 1.0
    speed = max(speed, min(high, (end - EDGE_S * RATE) / (longest_s * RATE)))
    if speed == 1.0:
        return samples, end
    return soxr.resample(samples, RATE * speed, RATE, quality="LQ"), round(end / speed)


def _cut(rng: np.random.Generator, path: str, seconds: float, most_s: float) -> Signal:
    start = int(rng.uniform(0, max(0.0, seconds - most_s)) * RATE)
    return soundfile.read(path, int(most_s * RATE), start, dtype="float32", always_2d=True)[0][:, 0]


def _turn(rng: np.random.Generator, samples: Signal) -> Signal:
    """Some seconds from anywhere in recorded speech."""
    length = min(len(samples), int(rng.uniform(*TURN_S) * RATE))
    start = int(rng.integers(len(samples) - length + 1))
    turn = samples[start : start + length].copy()
    fade = min(FADE, length)
    turn[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    turn[length - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return turn


def _stretch(rng: np.random.Generator, samples: Signal, length: int) -> Signal:
    """So many samples from anywhere in a sound that begins anew when it ends."""
    start = int(rng.integers(len(samples)))
    return np.resize(np.roll(samples, -start), length)


def _any(rng: np.random.Generator, sounds: Sequence[Signal]) -> Signal:
    return sounds[int(rng.integers(len(sounds)))]
