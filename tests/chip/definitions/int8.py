"""What the net's kernels mean, over batches: int8 values as -128..127, in int64; a leading axis of calls.

Source: TFLM's kernels/internal/reference/integer_ops/{fully_connected,conv,depthwise_conv,add,mul}.h and
kernels/internal/common.cc (MultiplyByQuantizedMultiplier, with double rounding, as the published package is
built), gemmlowp's fixedpoint.h (SaturatingRoundingDoublingHighMul, RoundingDivideByPOT).
"""

import math

import numpy as np


def dense(x: np.ndarray, zero_x: np.ndarray, w: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Accumulators [calls, windows, m] of windows x [calls, windows, n] under weights w [calls, m, n]."""
    return (x - zero_x[:, None, None]) @ w.transpose(0, 2, 1) + bias[:, None]


def depthwise(x: np.ndarray, zero_x: np.ndarray, w: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Accumulators [calls, windows, m] of x [calls, windows, taps, m] under w [calls, taps, m]."""
    return ((x - zero_x[:, None, None, None]) * w[:, None]).sum(axis=2) + bias[:, None]


def high_mul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SaturatingRoundingDoublingHighMul: nudged by a half away from zero, less one below it; C cuts towards zero."""
    ab = a * b
    nudged = ab + np.where(ab >= 0, 1 << 30, 1 - (1 << 30))
    cut = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    return np.where((a == b) & (a == -(1 << 31)), (1 << 31) - 1, cut)


def divide_by_power(x: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """RoundingDivideByPOT: halves away from zero."""
    mask = (np.int64(1) << exponent) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


def scaled(x: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """MultiplyByQuantizedMultiplier, rounding twice: x * multiplier / 2^31 * 2^shift."""
    return divide_by_power(high_mul(x << np.maximum(shift, 0), multiplier), np.maximum(-shift, 0))


def requantise(acc, multiplier, shift, zero, low, high):
    """Outputs within low..high of accumulators."""
    return np.clip(scaled(acc, multiplier, shift) + zero, low, high)


def quantised(ratio: float) -> tuple[int, int]:
    """QuantizeMultiplier: a double as (multiplier in Q31, shift)."""
    q, shift = math.frexp(ratio)
    multiplier = math.floor(q * 2**31 + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def mul(x, zero_x, y, zero_y):
    """MulElementwise, up to its requantising."""
    return (x - zero_x) * (y - zero_y)


def addend(x, zero, multiplier, shift):
    """AddFunc: one input's share of the sum, with left_shift 20."""
    return scaled((x - zero) << 20, multiplier, shift)


def starts(scale_x: float, scale_y: float, scale_out: float) -> list[tuple[int, int]]:
    """add_common.cc: (multiplier, shift) of each addend, then of their sum."""
    twice = 2 * max(scale_x, scale_y)
    return [quantised(scale_x / twice), quantised(scale_y / twice), quantised(twice / ((1 << 20) * scale_out))]
