"""Sounds as float32 at 16 kHz: where the word in a clip ends, what its silence sounds like, noise to hide it in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sourdine import spec
from sourdine_board.mistake import Mistake

Sound = NDArray[np.float32]  # in steps of 16 bits

RATE = spec.SAMPLE_RATE
FRAME = RATE // 100  # samples, 10 ms
BELOW_DB = (26.0, 22.0, 18.0, 14.0)  # a word has ended where it stays so far below its loudest,
ABOVE_DB = 6.0  # or so little above the noise around it
SHORTEST = 4  # frames; a shorter sound is a click
LONGEST_GAP = 25  # frames of quiet that a word, or a phrase, may hold
LONGEST = 120  # frames of a word; where the sound goes on, the next higher bar is tried
SURE_DB = 18.0  # with a bar nearer to the loudest than that, where a word ends is a guess
FAINT = 2.0  # standard deviation of the quietest noise around a clip, about -84 dBFS: never digital silence


def load(path: Path) -> Sound:
    """A recording, its channels mixed, at 16 kHz. Mistake when the file is no sound."""
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise Mistake(f"{path} is no sound that can be read ({error.error_string}): take it away") from error
    mono = samples.mean(axis=1)
    return np.asarray(mono if rate == RATE else soxr.resample(mono, rate, RATE), np.float32) * 32768


def int16(sound: Sound) -> NDArray[np.int16]:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


@dataclass(frozen=True)
class Span:
    """Where a word is in a clip, in seconds. Not sure: it may end up to some tenths of a second elsewhere."""

    begin: float
    end: float
    sure: bool


def span(clip: Sound) -> Span:
    """The word in a clip: the loudest stretch of sound without a longer pause.

    Levels are of 30 ms around every 10 ms, after a pre-emphasis that lets a final s count. What has no such stretch
    is all word.
    """
    levels = _levels(clip)
    loudest, floor = np.percentile(levels, (98, 8)) if len(levels) else (0.0, 0.0)
    for below in BELOW_DB:
        bar = float(max(loudest - below, min(floor + ABOVE_DB, loudest - 6)))
        begin, end = _stretch(levels, bar)
        if 0 < end - begin <= LONGEST:
            sure = bar <= loudest - SURE_DB and end < len(levels) - 1
            return Span(begin * FRAME / RATE, end * FRAME / RATE, bool(sure))
    return Span(0.0, len(clip) / RATE, False)


def _stretch(levels: NDArray[np.float64], bar: float) -> tuple[int, int]:
    """Frames of the stretch that is most above the bar, clicks left out; (0, 0) without one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (levels > bar).astype(int), [0]])))
    stretches: list[list[int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if end - begin < SHORTEST:
            continue
        if stretches and begin - stretches[-1][1] <= LONGEST_GAP:
            stretches[-1][1] = end
        else:
            stretches.append([begin, end])
    if not stretches:
        return 0, 0
    begin, end = max(stretches, key=lambda each: float(np.sum(levels[each[0] : each[1]] - bar)))
    return begin, end


def _levels(clip: Sound) -> NDArray[np.float64]:
    """dB at every 10 ms."""
    frames = len(clip) // FRAME
    if frames < SHORTEST:
        return np.zeros(0)
    sharp = np.append(clip[:1], clip[1:] - 0.9 * clip[:-1]).astype(np.float64)
    power = np.square(sharp[: frames * FRAME]).reshape(frames, FRAME).mean(axis=1)
    around = np.convolve(np.pad(power, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    return 10 * np.log10(around + 1e-3)


def active_power(clip: Sound) -> float:
    """Mean power of the 10 ms that are within 25 dB of the loudest."""
    frames = len(clip) // FRAME
    if not frames:
        return float(np.square(clip, dtype=np.float64).mean()) if len(clip) else 0.0
    power = np.square(clip[: frames * FRAME], dtype=np.float64).reshape(frames, FRAME).mean(axis=1)
    return float(power[power >= power.max() * 10**-2.5].mean())


def floor(clip: Sound, length: int, rng: np.random.Generator) -> Sound:
    """Noise of the spectrum and level of a clip's quietest fifth, at most 30 dB below its loudest."""
    size = 512
    if len(clip) < 2 * size:
        return rng.normal(0, FAINT, length).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(clip, size)[:: size // 2]
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    quiet = frames[np.argsort(power, kind="stable")[: max(1, len(frames) // 5)]]
    spectrum = np.sqrt(np.square(np.abs(np.fft.rfft(quiet * np.hanning(size), axis=1))).mean(axis=0))
    bins = np.fft.rfftfreq(length) * size
    noise = np.fft.irfft(
        np.fft.rfft(rng.normal(0, 1, length)) * np.interp(bins, np.arange(len(spectrum)), spectrum), length
    )
    level = float(min(np.sqrt(np.median(np.sort(power)[: len(quiet)])), np.sqrt(power.max() * 1e-3)))
    if level < FAINT:
        return rng.normal(0, FAINT, length).astype(np.float32)
    return (noise / noise.std() * level).astype(np.float32)


def brown(length: int, rng: np.random.Generator) -> Sound:
    """Noise that falls by 6 dB an octave above 20 Hz, of power 1."""
    spectrum = np.fft.rfft(rng.normal(0, 1, length))
    noise = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(length, 1 / RATE), 20.0), length)
    return (noise / (noise.std() + 1e-12)).astype(np.float32)


def babble(talkers: list[Sound], length: int, rng: np.random.Generator) -> Sound:
    """Talkers at once, each as loud as the others, of power 1."""
    mixed = np.zeros(length, np.float32)
    for talker in talkers:
        start = int(rng.integers(max(1, len(talker) - length + 1)))
        part = np.resize(talker[start : start + length], length) if len(talker) else mixed
        mixed += part / np.sqrt(active_power(part) + 1e-9)
    return (mixed / (np.sqrt(np.square(mixed, dtype=np.float64).mean()) + 1e-9)).astype(np.float32)


def in_room(clip: Sound, response: Sound) -> Sound:
    """The clip in a room, as loud as before, with the room's decay after it."""
    size = len(clip) + len(response) - 1
    wet = np.fft.irfft(np.fft.rfft(clip, size) * np.fft.rfft(response, size), size).astype(np.float32)
    return wet * np.float32(np.sqrt(active_power(clip) / (active_power(wet) + 1e-9)))


def decay_s(response: Sound) -> float:
    """A room's reverberation time, T60 from the 20 dB below -5 dB of its energy (Schroeder, 1965)."""
    left = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    db = 10 * np.log10(left / (left[0] + 1e-30) + 1e-12)
    return float(np.argmax(db < -25) - np.argmax(db < -5)) / RATE * 3
