"""Float, tflite-micro and the firmware, side by side on the same features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sourdine_training.export import run
from sourdine_training.net.options import VERIFIER_FRAMES
from sourdine_training.net.score import score
from sourdine_training.net.stack import BANDS, STEP, lead
from sourdine_training.net.weights import Weights


@dataclass(frozen=True)
class Agreement:
    """steps that were compared; `differing` of them between tflite-micro and the firmware, which must be 0.

    mean, greatest   |float - int8| of probabilities, 0..1
    crossing         share of steps at which one is above a half and the other is not
    macs, arena, weights, slices   as the firmware says
    """

    steps: int
    differing: int
    mean: float
    greatest: float
    crossing: float
    macs: int
    arena: int
    weights: int
    slices: int

    @property
    def exact(self) -> bool:
        return self.differing == 0


def agree(weights: Weights, data: bytes, windows: NDArray[np.int8]) -> Agreement:
    """The net `weights` as floats against `data`, the same as .tflite, on windows int8 [n, T, 40].

    A spotter hears each window as a stream of its own, as far as it has heard enough to say something; the firmware
    hears them one after another, as tflite-micro does beside it. A verifier answers about the end of each.
    """
    windows = np.asarray(windows)
    if weights.kind == "verifier":
        rows = windows[:, -VERIFIER_FRAMES:]
        reference = run.Reference(data)
        theirs = np.array([reference.step(row) for row in np.ascontiguousarray(rows)], np.uint8)
        ours, sizes = run.on_board(data, rows, verifier=True)
        exactly, nearly = score(weights, rows), theirs
    else:
        whole = windows.shape[1] // STEP * STEP
        steps = np.ascontiguousarray(windows[:, :whole]).reshape(-1, STEP, BANDS)
        reference = run.Reference(data)
        theirs = np.array([reference.step(step) for step in steps], np.uint8)
        ours, sizes = run.on_board(data, steps)
        first = lead(weights.stack)
        exactly = score(weights, windows)[:, first:]
        nearly = theirs.reshape(len(windows), -1)[:, first:]
    apart = np.abs(exactly - nearly / 256)
    above = (exactly > 0.5) != (nearly > 128)
    return Agreement(
        steps=len(theirs),
        differing=int((theirs != ours).sum()),
        mean=float(apart.mean()),
        greatest=float(apart.max()),
        crossing=float(above.mean()),
        **{name: sizes[name] for name in ("macs", "arena", "weights", "slices")},
    )
