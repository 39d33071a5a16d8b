"""Sizes of the nets, and the stacks that they mean."""

from dataclasses import dataclass

from sourdine_training.net.stack import Conv, Head, Mix, Point, Stack, lengths

VERIFIER_FRAMES = 150  # that the board keeps


@dataclass(frozen=True)
class Options:
    """The spotter: microWakeWord's shape (MixedNet), 140 frames of reach and 21,712 multiplications a step.

    kernels and filters hold one entry per block; a block's kernels share its channels. The board is fastest where
    filters are multiples of 16 and each kernel has 32 channels or more.
    """

    first_frames: int = 5
    first_filters: int = 32
    kernels: tuple[tuple[int, ...], ...] = ((5,), (9,), (9, 13), (9, 17))
    filters: tuple[int, ...] = (48, 64, 64, 64)
    head_steps: int = 6

    def stack(self) -> Stack:
        layers: list = [Conv(self.first_frames, self.first_filters)]
        width = self.first_filters
        for kernels, filters in zip(self.kernels, self.filters, strict=True):
            layers += [Mix(tuple(kernels), width), Point(width, filters)]
            width = filters
        return *layers, Head(self.head_steps, width)


@dataclass(frozen=True)
class VerifierOptions:
    """The verifier: three stages, each slower and wider; hears 150 frames and answers once, by 412,464 multiplications.

    It costs less than the spotter did over the same time, but looks at all of it at once, and for one question.
    """

    first_frames: int = 3
    first_filters: int = 32
    kernels: tuple[tuple[int, ...], ...] = ((6,), (5, 7), (5,))
    strides: tuple[int, ...] = (2, 1, 2)
    filters: tuple[int, ...] = (64, 80, 128)

    def stack(self) -> Stack:
        layers: list = [Conv(self.first_frames, self.first_filters)]
        width = self.first_filters
        for kernels, stride, filters in zip(self.kernels, self.strides, self.filters, strict=True):
            layers += [Mix(tuple(kernels), width, stride), Point(width, filters)]
            width = filters
        return *layers, Head(lengths(tuple(layers), VERIFIER_FRAMES)[-1], width)
