"""Calls of a kernel, and what they have to give: the language between the definitions and the chip.

A generator per kernel, named as the kernel and marked @calls(its module), yields Calls: it draws plain values, asks the
definition, and packs both as the kernel has them. A change of a kernel's layout changes its generator alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

KERNELS: dict[tuple[str, str], Callable[[np.random.Generator], Iterator["Calls"]]] = {}
EDGES, RANDOM, HEARD = "edges", "random", "heard"
AT_ONCE = 1000  # calls in one Calls where rows are large: more would leave the processor's cache


@dataclass(frozen=True)
class Calls:
    """`count` calls. Arguments as Core.batch takes them: an int or a Shared for all, or an array with a row per call.

    after    argument: what its rows hold afterwards. Every other buffer has to stay as it was.
    free     argument: bool mask of the cells in each row that may hold anything afterwards.
    returns  what each call returns; None if it returns nothing.
    kind     where the values come from: EDGES, RANDOM, or what a sound brings there (HEARD).
    """

    count: int
    arguments: tuple
    after: dict[int, np.ndarray] = field(default_factory=dict)
    returns: np.ndarray | None = None
    kind: str = EDGES
    free: dict[int, np.ndarray] = field(default_factory=dict)

    def of(self, kind: str) -> Self:
        return replace(self, kind=kind)


def calls(module: str) -> Callable:
    """Marks the generator of the kernel that has its name in this module of the firmware."""

    def mark(generator: Callable) -> Callable:
        KERNELS[module, generator.__name__] = generator
        return generator

    return mark


def parts(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """AT_ONCE rows of each at a time."""
    for start in range(0, len(arrays[0]), AT_ONCE):
        yield tuple(array[start : start + AT_ONCE] for array in arrays)
