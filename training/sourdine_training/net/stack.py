"""Layers of a net along time, and what follows from their sizes alone.

A stack is a tuple of layers. Time runs along axis 1 and nothing is padded: a layer answers only where it has heard
all that it looks at, so what runs over a recording and what runs step by step can be equal.
"""

from dataclasses import dataclass

import numpy as np

BANDS = 40
STEP = 3  # frames of 10 ms


@dataclass(frozen=True)
class Conv:
    """All bands of `frames` frames → filters, normalised, ReLU. Weights [frames * BANDS, filters], oldest frame first."""

    frames: int
    filters: int
    stride: int = STEP

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"w": (self.frames * BANDS, self.filters)}

    span = property(lambda self: self.frames)
    width = property(lambda self: self.filters)


@dataclass(frozen=True)
class Mix:
    """A filter along time per channel; each group of channels has its own length (MixConv, arXiv:1907.09595).

    The groups end at the same step. Weights w0, w1, …: [kernels[j], channels of group j]; no bias, linear.
    """

    kernels: tuple[int, ...]
    channels: int
    stride: int = 1

    @property
    def groups(self) -> list[int]:
        """Channels of each group; the first takes what is left over."""
        share = self.channels // len(self.kernels)
        return [self.channels - share * (len(self.kernels) - 1)] + [share] * (len(self.kernels) - 1)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {f"w{j}": each for j, each in enumerate(zip(self.kernels, self.groups, strict=True))}

    span = property(lambda self: max(self.kernels))
    width = property(lambda self: self.channels)


@dataclass(frozen=True)
class Point:
    """Channels → filters at each step, normalised, ReLU. Weights [inputs, filters]."""

    inputs: int
    filters: int
    stride: int = 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"w": (self.inputs, self.filters)}

    span = property(lambda self: 1)
    width = property(lambda self: self.filters)


@dataclass(frozen=True)
class Head:
    """The last `steps` steps of all channels → one logit. Weights [steps, channels]."""

    steps: int
    channels: int
    stride: int = 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"w": (self.steps, self.channels)}

    span = property(lambda self: self.steps)
    width = property(lambda self: 1)


Layer = Conv | Mix | Point | Head
Stack = tuple[Layer, ...]


def lengths(stack: Stack, frames: int) -> list[int]:
    """Steps that each layer answers over so many frames."""
    found = []
    for layer in stack:
        frames = max(0, (frames - layer.span) // layer.stride + 1)
        found.append(frames)
    return found


def reach(stack: Stack) -> int:
    """Frames that one logit looks at."""
    frames = 1
    for layer in reversed(stack):
        frames = (frames - 1) * layer.stride + layer.span
    return frames


def lead(stack: Stack) -> int:
    """The first step, of STEP frames each, at which the net has heard all that it looks at. Step t ends with frame 3t + 2."""
    return -(-reach(stack) // STEP) - 1


def macs(stack: Stack, frames: int | None = None) -> int:
    """Multiplications for one step of a stream, or over so many frames at once."""
    counts = [1] * len(stack) if frames is None else lengths(stack, frames)
    return sum(
        n * sum(int(np.prod(shape)) for shape in layer.shapes.values()) for n, layer in zip(counts, stack, strict=True)
    )
