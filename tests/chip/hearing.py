"""The frontend by its definitions alone: what every kernel hears when sound goes through."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from chip.definitions import dsp, fft, mel
from sourdine_tools import tables

HOP, WINDOW = 160, 480


@dataclass(frozen=True)
class Heard:
    """Frames of 10 ms, a row each; cells before each stage but the first, and after the last."""

    windowed: np.ndarray
    largest: np.ndarray
    shift: np.ndarray
    cells: list[np.ndarray]
    energies: np.ndarray
    sums: np.ndarray
    roots: np.ndarray
    noise: np.ndarray  # before the frame
    estimate: np.ndarray  # after it
    denoised: np.ndarray
    equalised: np.ndarray
    raw: np.ndarray
    features: np.ndarray


def windows(samples: np.ndarray | None = None) -> np.ndarray:
    """Frames [n, WINDOW] of int16 samples, sound()'s if none are given."""
    samples = sound() if samples is None else samples
    return np.lib.stride_tricks.sliding_window_view(samples.astype(np.int64), WINDOW)[::HOP]


def hear(samples: np.ndarray, bank: tuple[Sequence[int], Sequence[int]] | None = None) -> Heard:
    """What the microfrontend makes of int16 samples, from its start on. `bank`: weights and counts of the filterbank."""
    x = windows(samples)
    weights, counts = map(np.array, bank or tables.filterbank())
    windowed, largest = dsp.window(x, np.array(tables.window()))
    shift = 15 - fft.bits(largest)
    z = np.pad(fft.shifted(windowed, shift), [(0, 0), (0, 512 - WINDOW)])
    cells = [fft.stage(z.reshape(-1, 256, 2)[:, fft.digits_reversed()], 1)]
    for m in fft.QUARTERS[1:]:
        cells.append(fft.stage(cells[-1], m))
    energies = fft.energies(cells[-1])
    sums = mel.filterbank(energies[:, 4 : 4 + len(weights)], weights, counts)  # from bin 5 on
    roots = mel.root(sums) >> shift[:, None]
    noise = np.zeros((len(x) + 1, roots.shape[1]), np.int64)
    denoised = np.empty_like(roots)
    for i in range(len(x)):
        denoised[i], noise[i + 1] = mel.denoise(roots[i], noise[i])
    equalised = mel.equalise(denoised, noise[1:], np.array(tables.gains()))
    raw = mel.logarithm(equalised, np.array(tables.logarithm()))
    return Heard(
        windowed=windowed,
        largest=largest,
        shift=shift,
        cells=cells,
        energies=energies,
        sums=sums,
        roots=roots,
        noise=noise[:-1],
        estimate=noise[1:],
        denoised=denoised,
        equalised=equalised,
        raw=raw,
        features=mel.quantize(raw),
    )


def sound() -> np.ndarray:
    """Five seconds: a voice-like buzz that glides, swells and stops, over noise, and then far too loud."""
    random = np.random.default_rng(8)
    time = np.arange(5 * 16_000) / 16_000
    pitch = 120 + 60 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    harmonics = np.arange(1, 24)
    formants = 1 / (1 + ((harmonics[:, None] * pitch - 900 - 600 * np.sin(2 * np.pi * 1.3 * time)) / 250) ** 2)
    voice = (formants * np.sin(harmonics[:, None] * phase)).sum(axis=0) * np.maximum(0, np.sin(2 * np.pi * 2.1 * time))
    loudness = np.where(time < 1, 30, np.where(time < 2, 400, np.where(time < 4, 6000, 60_000)))
    noise = random.normal(0, 1, len(time)) * np.where(time < 0.5, 0.3, 20)
    return np.clip(np.rint(voice * loudness + noise), -32768, 32767).astype(np.int16)


@lru_cache
def heard() -> Heard:
    return hear(sound())
