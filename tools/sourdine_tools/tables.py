"""Writes firmware/sourdine/tables.py, the frontend's constants, from their definitions.

    python -m sourdine_tools.tables > firmware/sourdine/tables.py

The chip's floats have 24 bits, which is not enough to compute these there. `reference` means the TFLM
microfrontend (tensorflow/lite/experimental/microfrontend/lib in tflite-micro), whose values they equal.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from itertools import pairwise

from sourdine import spec

WEIGHT_ONE = 1 << 12  # Q12, of the window and of the filterbank
BIN = spec.SAMPLE_RATE / 512  # Hz
LOWEST, HIGHEST = 125.0, 7500.0  # Hz, edges of the filterbank
GAIN_BITS, OFFSET, STRENGTH = 21, 80.0, 0.95  # of PCAN: gain = 2^21 * (noise + 80)^-0.95
NOISE_BITS = 7  # fraction bits of the noise estimate as PCAN sees it: 10 of smoothing, less 3 of the FFT's scale

# Just below a half, where the reference's single precision rounds up: 53.49999, 2470.488 and 1400.489. The last two hang
# on log1pf: Sun's algorithm (in newlib, hence in ESPHome, and in glibc 2.36) gives these, a correctly rounded one does not.
HALVES = {("window", 17): 54, ("bin", 149): 2471, ("bin", 221): 1401}


def rounded(value: float) -> int:
    return math.floor(value + 0.5)


def window() -> list[int]:
    """480 coefficients of a Hann window sampled between the samples, Q12 (window_util.c)."""
    heights = [0.5 - 0.5 * math.cos(2 * math.pi * (i + 0.5) / spec.WINDOW) for i in range(spec.WINDOW)]
    return [HALVES.get(("window", i), rounded(WEIGHT_ONE * height)) for i, height in enumerate(heights)]


def sine() -> list[int]:
    """A quarter wave, Q15: sin(pi * i / 256) for i = 0..128 (kiss_fft's twiddles, by symmetry)."""
    return [rounded(32767 * math.sin(math.pi * i / 256)) for i in range(129)]


def mel(frequency: float) -> float:
    return 1127.0 * math.log1p(frequency / 700.0)


def filterbank() -> tuple[list[int], list[int]]:
    """Rising weights of the triangles, Q12, one per FFT bin from bin 5; and bins per slope (filterbank_util.c).

    41 slopes: on slope c a bin counts `weight` for channel c - 1 and the rest of 4096 for channel c, so each
    channel is the falling end of one slope and the rising end of the one before.
    """
    spacing = (mel(HIGHEST) - mel(LOWEST)) / (spec.CHANNELS + 1)
    edges = [mel(LOWEST) + spacing * i for i in range(spec.CHANNELS + 2)]
    weights, counts = [], []
    fft_bin = int(1.5 + LOWEST / BIN)
    for low, high in pairwise(edges):
        first = fft_bin
        while mel(fft_bin * BIN) <= high:
            weight = rounded(WEIGHT_ONE * (high - mel(fft_bin * BIN)) / (high - low))
            weights.append(HALVES.get(("bin", fft_bin), weight))
            fft_bin += 1
        counts.append(fft_bin - first)
    return weights, counts


def gain(noise: int) -> int:
    """PCAN's gain for a noise estimate (pcan_gain_control_util.c, PcanGainLookupFunction)."""
    return rounded((1 << GAIN_BITS) * (noise / (1 << NOISE_BITS) + OFFSET) ** -STRENGTH)


def gains() -> list[int]:
    """The gain as a quadratic on each octave of the estimate: value, slope, curvature, 0 at 4 * bits - 6."""
    table = [gain(0), gain(1)]
    for bits in range(2, 33):
        start = 1 << (bits - 1)
        end = 2 * start if bits < 32 else 2 * start - 1
        middle_rise, rise = gain(start + start // 2) - gain(start), gain(end) - gain(start)
        slope = 4 * middle_rise - rise
        table += [gain(start), slope, rise - slope, 0]
    return table


def logarithm() -> list[int]:
    """What log2(1 + i/128) has above the straight line i/128, Q16 (log_lut.c); the last entry is never used alone."""
    return [round(65536 * (math.log2(1 + i / 128) - i / 128)) for i in range(129)]


def literal(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), 24):
        yield '    b"' + "".join(f"\\x{byte:02x}" for byte in data[start : start + 24]) + '"'


def array(name: str, code: str, values: Iterable[int], comment: str) -> Iterator[str]:
    values = list(values)
    yield f"# {comment}"
    yield f'{name} = array(\n    "{code}",'
    *lines, last = literal(struct.pack(f"<{len(values)}{code}", *values))
    yield from [*lines, last + ",", ")"]


def module() -> str:
    weights, counts = filterbank()
    return "\n".join(
        [
            '"""Constants of the frontend, little-endian. Written by sourdine_tools.tables: change them there."""',
            "",
            "from array import array",
            "",
            *array("WINDOW", "H", window(), "Hann window, Q12, 480"),
            *array("SINE", "H", sine(), "sin(pi * i / 256), Q15, i = 0..128"),
            *array("MEL_WEIGHTS", "H", weights, f"rising weights of bins 5..{4 + len(weights)}, Q12"),
            *array("MEL_COUNTS", "B", counts, "bins on each of the 41 slopes"),
            *array("GAINS", "h", gains(), "PCAN gain per octave of the noise: value, slope, curvature, 0"),
            *array("LOG", "H", logarithm(), "log2(1 + i/128) - i/128, Q16, i = 0..128"),
            "",
        ]
    )


if __name__ == "__main__":
    print(module(), end="")
