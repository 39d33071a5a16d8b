"""Impulse responses of rooms that do not exist: image sources for the early part, shaped noise for the late one.

A room has one microphone, two places from which somebody speaks to it, and three from which others disturb. Image
sources beyond the twelfth order cost more than they tell: after some 80 ms a room answers with noise that decays as
fast as its walls absorb, which is how the tail is drawn (Polack's model, with Eyring's decay time in each octave).
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sourdine import spec
from sourdine_training.executor import Executor
from sourdine_training.rooms.options import Options
from sourdine_training.store import Store, key

FORM = 1  # counts up when the same keys would give other responses
TAPS = 8_000  # 0.5 s
ONSET = 32  # samples of a response before the direct sound: what the octave filters smear forward
SPOKEN, DISTURBING = 2, 3  # places in a room
ORDER = 12  # of image sources
OCTAVES = np.array([125.0, 250, 500, 1000, 2000, 4000, 8000])  # Hz
SIDES = {"train": 0, "valid": 1, "judge": 2}
SPEED = 343.0  # m/s


@dataclasses.dataclass(frozen=True)
class Bank:
    """All rooms of one side: float32 [rooms, SPOKEN + DISTURBING, TAPS], the direct sound at ONSET, energy 1."""

    path: Path

    def rooms(self) -> NDArray[np.float32]:
        """Mapped, not read."""
        return np.load(self.path, mmap_mode="r")


def bank(
    options: Options,
    split: str,
    seed: int,
    store: Store,
    executor: Executor,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Bank:
    """The rooms of "train" or "valid": other rooms, drawn in the same way."""
    count = options.rooms if split == "train" else max(1, options.rooms // 4)
    drawn = (options.distance_m, options.reverberation_s)
    path = store.path("rooms", key(FORM, split, seed, count, drawn), ".npy")
    if not path.exists():
        numbers = [(seed, SIDES[split], k) for k in range(count)]
        made = np.empty((count, SPOKEN + DISTURBING, TAPS), np.float32)
        for k, responses in enumerate(executor.map(partial(room, *drawn), numbers, chunk=8)):
            made[k] = responses
            progress(k + 1, count, f"rooms to {split}")
        with store.writing(path) as scratch, scratch.open("wb") as file:
            np.save(file, made)
    return Bank(path)


def room(
    distance_m: tuple[float, float], reverberation_s: tuple[float, float], seed: tuple[int, ...]
) -> NDArray[np.float32]:
    """One room: float32 [SPOKEN + DISTURBING, TAPS]."""
    import pyroomacoustics

    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log([2.0, 1.8, 2.2]), np.log([9.0, 7.0, 3.4])))
    microphone = rng.uniform(0.08, 0.92, 3) * size
    microphone[2] = min(microphone[2], rng.uniform(0.3, 1.6))
    places = [_near(rng, size, microphone, distance_m) for _ in range(SPOKEN)]
    places += [_near(rng, size, microphone, (1.0, 8.0)) for _ in range(DISTURBING)]
    absorption, decay_s = _walls(rng, size, reverberation_s)
    walls = pyroomacoustics.Material({"coeffs": list(absorption), "center_freqs": list(OCTAVES)}, 0.1)
    box = pyroomacoustics.ShoeBox(
        size, fs=spec.SAMPLE_RATE, materials=walls, max_order=ORDER, air_absorption=True, temperature=20, humidity=50
    )
    for place in places:
        box.add_source(place)
    box.add_microphone(microphone)
    box.compute_rir()
    responses = []
    for place, early in zip(places, box.rir[0], strict=True):  # pyright: ignore[reportOptionalSubscript]
        path_m = float(np.linalg.norm(place - microphone))
        expected = round(path_m / box.c * spec.SAMPLE_RATE) + pyroomacoustics.constants.get("frac_delay_length") // 2
        responses.append(_aligned(rng, np.asarray(early), expected, decay_s, size))
    return np.array(responses, np.float32)


def _near(rng: np.random.Generator, size: NDArray, microphone: NDArray, distance_m: tuple[float, float]) -> NDArray:
    """A place in the room, about as far from the microphone as drawn; the walls may bring it nearer."""
    away = np.exp(rng.uniform(*np.log(distance_m)))
    turn, rise = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.6)
    step = away * np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
    place = microphone + step
    outside = (place < 0.05 * size) | (place > 0.95 * size)
    place = np.where(outside, microphone - step, place)
    return np.clip(place, 0.05 * size, 0.95 * size)


def _walls(rng: np.random.Generator, size: NDArray, reverberation_s: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """(absorption, T60 in seconds) in each octave: Eyring's T = 0.161 V / (-S ln(1 - a))."""
    volume = float(np.prod(size))
    surface = 2 * float(size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    wanted = np.exp(rng.uniform(*np.log(reverberation_s)))
    tilt = rng.uniform(-0.05, 0.3)  # soft walls take more of the high octaves
    octaves = wanted * 2 ** (-tilt * (np.log2(OCTAVES / 1000)) + rng.normal(0, 0.2, len(OCTAVES)))
    absorption = np.clip(1 - np.exp(-0.161 * volume / (surface * octaves)), 0.03, 0.97)
    return absorption, 0.161 * volume / (-surface * np.log(1 - absorption))


def _aligned(
    rng: np.random.Generator, early: NDArray, expected: int, decay_s: NDArray, size: NDArray
) -> NDArray[np.float32]:
    """From ONSET samples before the direct sound on, with its late part, of energy 1."""
    near = early[max(0, expected - 40) : expected + 40]
    direct = max(0, expected - 40) + int(np.argmax(np.abs(near)))
    response = np.zeros(TAPS)
    part = early[max(0, direct - ONSET) : direct - ONSET + TAPS]
    response[max(0, ONSET - direct) :][: len(part)] = part[: TAPS - max(0, ONSET - direct)]
    mixing = ONSET + int(spec.SAMPLE_RATE * min(0.08, 0.002 * np.sqrt(np.prod(size)) + 0.02))
    tail = _tail(rng, decay_s)
    span = slice(mixing - 160, mixing + 160)
    energy = np.sum(response[span] ** 2)
    tail *= np.sqrt(energy / (np.sum(tail[span] ** 2) + 1e-20))
    fade = np.clip((np.arange(TAPS) - mixing + 160) / 320, 0, 1)
    response = response * np.sqrt(1 - fade) + tail * np.sqrt(fade)
    response *= np.minimum(1, (TAPS - np.arange(TAPS)) / 800)
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def _tail(rng: np.random.Generator, decay_s: NDArray) -> NDArray:
    """Noise that decays in each octave by 60 dB in its T60."""
    noise = np.fft.rfft(rng.standard_normal(TAPS))
    octave = np.log2(np.maximum(np.fft.rfftfreq(TAPS, 1 / spec.SAMPLE_RATE), 1) / OCTAVES[0])
    time = np.arange(TAPS) / spec.SAMPLE_RATE
    last = len(decay_s) - 1
    tail = np.zeros(TAPS)
    for k, seconds in enumerate(decay_s):
        weight = np.clip(1 - np.abs(np.clip(octave, 0, last) - k), 0, 1)
        tail += np.fft.irfft(noise * np.sqrt(weight), TAPS) * np.exp(-6.91 * time / seconds)
    return tail
