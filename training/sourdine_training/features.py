"""What the board's ears make of a sound: 40 int8 features each 10 ms, computed by the reference's C.

pymicro-features wraps the TFLM microfrontend that the firmware's frontend equals bit for bit, and is 100 times as fast
as that one is on a desktop. Its floats are whole multiples of 1/25.6; the last step to int8 is firmware/sourdine/mel.py's
`quantize`. A test feeds both the same sounds.
"""

import numpy as np
from numpy.typing import NDArray

from sourdine import spec

SCALE, ZERO = 26 / 255, -128  # (int8 - ZERO) * SCALE is the float feature, as every microWakeWord model takes it
UNIT = 25.6  # the frontend's whole numbers to the float unit
BACK = spec.WINDOW // spec.HOP - 1  # hops heard before the first row

# Every whole number that matters: round(x * 1275 / 3328) - 128, at most 127. A half never occurs below saturation.
_INT8 = np.minimum((np.arange(667) * 2550 + 3328) // 6656 + ZERO, 127).astype(np.int8)


def features(samples: NDArray[np.int16]) -> NDArray[np.int8]:
    """int16 [n] at 16 kHz → int8 [max(0, n // 160 - 2), 40] by an ear that has heard nothing before.

    Row i is of the samples 160 i to 160 i + 479. Its noise estimate begins at zero: give it a second of the scene
    before the rows that are to be learnt. TypeError unless the samples are int16.
    """
    if samples.dtype != np.int16:
        raise TypeError(f"samples are int16, these are {samples.dtype}")
    from pymicro_features import MicroFrontend

    hear = MicroFrontend().process_samples
    data = samples.astype("<i2").tobytes()
    hop = 2 * spec.HOP  # bytes; it takes no more than one hop a call
    rows = [hear(data[at : at + hop]).features for at in range(0, len(data) - hop + 1, hop)]
    exact = np.array(rows[BACK:], np.float32).reshape(-1, spec.CHANNELS) * UNIT
    return _INT8[np.minimum(np.rint(exact), len(_INT8) - 1).astype(np.intp)]


def frame(sample: int) -> int:
    """The first row that has heard everything before this sample: where a word that ends there can be known."""
    return max(0, -(-(sample - spec.WINDOW) // spec.HOP))


def samples_for(rows: int) -> int:
    """How many samples give this many rows."""
    return (rows + BACK) * spec.HOP
