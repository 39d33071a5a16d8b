"""An arena, constants and tables as the net's kernels have them, at addresses as odd as plan.py allows."""

import numpy as np

from sourdine import int8
from sourdine_tools.chip.core import Shared


def lifted(acc: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(acc + int8.LIFT).reshape(len(acc), -1).astype("<i4").view(np.uint8)


def biased(x: np.ndarray) -> np.ndarray:
    """int8 as its value + 128."""
    return (x + 128).reshape(len(x), -1).astype(np.uint8)


class Space:
    """An arena or constants: junk, with contents placed in it, words aligned, and gaps between them."""

    def __init__(self, random: np.random.Generator, count: int):
        self._random, self._count = random, count
        self._contents: list[tuple[int, np.ndarray]] = []
        self.size = 0

    def place(self, content: np.ndarray | int, align: int = 1) -> int:
        """The offset of a content (a row per call), or of a hole of so many bytes."""
        at = self.size + int(self._random.integers(0, 4))
        at += -at % align
        hole = isinstance(content, int)
        if not hole:
            self._contents.append((at, content))
        self.size = at + (content if hole else content.shape[1])
        return at

    def bytes(self) -> np.ndarray:
        size = max(self.size + 3 & ~3, 4)
        data = self._random.integers(0, 256, (self._count, size)).astype(np.uint8)
        for at, content in self._contents:
            data[:, at : at + content.shape[1]] = content
        return data


def written(arena: np.ndarray, at: int, content: np.ndarray) -> np.ndarray:
    after = arena.copy()
    after[:, at : at + content.shape[1]] = content
    return after


def table(*numbers: int | np.ndarray) -> Shared | np.ndarray:
    """int32, the same for all calls, or with a row for each if any number is an array."""
    if any(isinstance(number, np.ndarray) for number in numbers):
        return np.stack(np.broadcast_arrays(*numbers), axis=1).astype(np.int32)
    return Shared(np.array(numbers, np.int32))
