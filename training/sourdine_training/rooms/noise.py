"""Noise that nobody recorded: white to brown, hum, fans. As spectra, so that they join the mix without a transform."""

import numpy as np
from numpy.typing import NDArray

from sourdine import spec

LOWEST = 30.0  # Hz, where the slope of coloured noise begins


def coloured(rng: np.random.Generator, bins: int) -> NDArray[np.complex64]:
    """The spectrum of stationary noise, [bins]: -3 (pink) to -9 dB per octave or white, at times in a band only."""
    spectrum = white(rng, bins)
    frequency = frequencies(bins)
    slope = rng.uniform(0.5, 1.5) if rng.random() < 0.9 else 0.0  # of the amplitude: 0 white, 0.5 pink, 1 brown
    shape = np.maximum(frequency, LOWEST) ** np.float32(-slope)
    if rng.random() < 0.3:  # a fan, a tap, a street: most of it around one place
        centre, width = np.exp(rng.uniform(np.log(100), np.log(5000))), rng.uniform(0.4, 2)
        octaves = np.log2(np.maximum(frequency, 1) / np.float32(centre)) / np.float32(width)
        shape = shape * (np.float32(0.03) + np.exp(-octaves * octaves))
    return spectrum * shape.astype(np.float32)


def hum(rng: np.random.Generator, bins: int) -> NDArray[np.complex64]:
    """Mains or a motor: a fundamental and its harmonics, each a few bins wide, over some coloured noise."""
    frequency = frequencies(bins)
    base = rng.choice([50.0, 60.0, 100.0, 120.0, rng.uniform(20, 400)])
    strength = rng.uniform(0.3, 1.2)
    spectrum = coloured(rng, bins)
    spectrum /= np.sqrt(np.mean(np.abs(spectrum) ** 2))
    step = frequency[1]
    for harmonic in range(1, 1 + int(min(30, 7000 / base))):
        at = round(float(harmonic * base / step))
        height = rng.uniform(0.2, 1) * harmonic**-strength * np.sqrt(bins)
        spread = rng.standard_normal((3, 2)) @ np.array([1, 1j])
        spectrum[at - 1 : at + 2] += (height * spread).astype(np.complex64)
    return spectrum


def white(rng: np.random.Generator, bins: int) -> NDArray[np.complex64]:
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    spectrum[0] = 0
    return spectrum


def frequencies(bins: int) -> NDArray[np.float32]:
    """Hz of each bin."""
    return np.linspace(0, spec.SAMPLE_RATE / 2, bins, dtype=np.float32)
