"""From energies to features, over batches: a row is a frame, its values plain unsigned integers (int64).

Source: TFLM's microfrontend/lib (filterbank.c, noise_reduction.c, pcan_gain_control.c, log_scale.c) with
microWakeWord's settings: 40 channels, smoothing 0.025 and 0.06, 0.05 of the signal kept, PCAN on, scale_shift 6.
"""

import ctypes
from itertools import pairwise

import numpy as np

from chip.definitions.fft import bits

CHANNELS = 40
EVEN, ODD, REMAINING = (int(share * (1 << 14)) for share in (0.025, 0.06, 0.05))
CORRECTION_BITS = 3  # of FrontendProcessSamples: the length of 512 less one, less half of the filterbank's 12


def bank() -> tuple[np.ndarray, np.ndarray]:
    """FilterbankPopulateState: weights of bins 5 on, Q12, and bins per slope.

    Single precision throughout, with this host's log1pf, as whatever is linked to its C library has it.
    """
    f = np.float32
    log1pf = ctypes.CDLL(None).log1pf
    log1pf.restype, log1pf.argtypes = ctypes.c_float, [ctypes.c_float]

    def mel(frequency: float) -> np.float32:
        return f(1127) * f(log1pf(f(frequency) / f(700)))

    low, slopes = mel(125), CHANNELS + 1
    spacing = (mel(7500) - low) / f(slopes)
    edges = [low] + [low + spacing * f(i + 1) for i in range(slopes)]
    weights, counts, place = [], [], 5
    for left, right in pairwise(edges):
        first = place
        while mel(place * 31.25) <= right:
            weights.append(int(np.floor((right - mel(place * 31.25)) / (right - left) * f(4096) + f(0.5))))
            place += 1
        counts.append(place - first)
    return np.array(weights), np.array(counts)


def filterbank(energies: np.ndarray, weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """FilterbankAccumulateChannels: sums of 40 channels, the first slope's rising side left out."""
    slopes = np.repeat(np.arange(len(counts)), counts)
    triangles = np.zeros((len(weights), len(counts) + 1), np.int64)
    triangles[np.arange(len(weights)), slopes] = weights
    triangles[np.arange(len(weights)), slopes + 1] = 4096 - weights
    return energies @ triangles[:, 1 : len(counts)]


def root(sums: np.ndarray) -> np.ndarray:
    """Sqrt64: to the nearest, but in 16 bits where the sum has 32. For sums below 2^52."""
    root = np.sqrt(sums.astype(float)).astype(np.int64)
    root -= root * root > sums
    root += (root + 1) * (root + 1) <= sums
    up = (sums - root * root > root) & ((sums >> 32 != 0) | (root != 0xFFFF))
    return root + up


def denoise(signal: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NoiseReductionApply: what remains of the signal, and the next estimate of the noise."""
    smoothing = np.where(np.arange(signal.shape[-1]) % 2, ODD, EVEN)
    now = signal << 10 & 0xFFFFFFFF
    estimate = now * smoothing + noise * ((1 << 14) - smoothing) >> 14
    left = now - np.minimum(estimate, now) >> 10
    return np.maximum(left, signal * REMAINING >> 14), estimate


def gain(noise: np.ndarray, lut: np.ndarray) -> np.ndarray:
    """WideDynamicFunction"""
    length = bits(noise)
    fraction = np.where(length < 11, noise << np.maximum(11 - length, 0), noise >> np.maximum(length - 11, 0)) & 0x3FF
    at = np.maximum(4 * length - 6, 0)
    result = ((lut[at + 2] * fraction >> 5) + (lut[at + 1] << 5)) * fraction
    return np.where(noise <= 2, lut[np.minimum(noise, 2)], (result + (1 << 14) >> 15) + lut[at])


def equalise(signal: np.ndarray, noise: np.ndarray, lut: np.ndarray) -> np.ndarray:
    """PcanGainControlApply: gain_bits 21, so snr_shift is 21 - CORRECTION_BITS - 12."""
    snr = signal * gain(noise, lut) >> 6
    return np.where(snr < 2 << 12, snr * snr >> 20, (snr >> 6) - 64)


def logarithm(signal: np.ndarray, lut: np.ndarray) -> np.ndarray:
    """LogScaleApply"""
    x = signal << CORRECTION_BITS
    integer = bits(np.maximum(x, 1)) - 1
    rest = x - (1 << integer)
    fraction = np.where(integer < 16, rest << np.maximum(16 - integer, 0), rest >> np.maximum(integer - 16, 0))
    fraction = np.maximum(fraction, 0)  # of x = 0, which has none
    segment = fraction >> 9
    c0, c1 = lut[segment], lut[segment + 1]
    log2 = (integer << 16) + fraction + c0 + ((c1 - c0) * (fraction - 512 * segment) >> 16)
    loge = 45426 * log2 + 32768 >> 16
    return np.where(x > 1, np.minimum((loge << 6) + 32768 >> 16, 0xFFFF), 0)


def quantize(raw: np.ndarray) -> np.ndarray:
    """Raw features, 25.6 to the float unit, to int8 of scale 26/255 and zero point -128, rounded and saturated."""
    return np.minimum((2 * raw * 1275 + 3328) // (2 * 3328) - 128, 127)
