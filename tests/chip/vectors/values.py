"""Numbers to try a kernel with: every edge, their products, and random ones as quiet and as loud as sound is."""

import numpy as np


def edges(low: int, high: int, *more: int) -> np.ndarray:
    """Each of 0, the powers of two, the limits and `more`, with its neighbours and its opposite, in low..high."""
    powers = {0, low, high, *more, *(1 << k for k in range(48))}
    near = {sign * power + step for power in powers for sign in (1, -1) for step in (-1, 0, 1)}
    return np.array(sorted(value for value in near if low <= value <= high), np.int64)


def product(*values: np.ndarray) -> np.ndarray:
    """Every combination, one a row."""
    return np.stack(np.meshgrid(*values, indexing="ij"), axis=-1).reshape(-1, len(values))


def rows(flat: np.ndarray, size: int) -> np.ndarray:
    """A column of numbers (or of records) in rows of `size`; the last row goes round."""
    count = -(-len(flat) // size)
    return np.resize(flat, (count * size, *flat.shape[1:])).reshape(count, size, *flat.shape[1:])


def least_aligned(x: np.ndarray) -> np.ndarray:
    """A copy that no wider access may take for aligned: at an odd multiple of its items' size."""
    place = np.empty(x.nbytes + 32, np.uint8)
    at = -place.ctypes.data % 16 + x.itemsize
    place[at : at + x.nbytes] = np.ascontiguousarray(x).view(np.uint8).reshape(-1)
    return place[at : at + x.nbytes].view(x.dtype).reshape(x.shape)


def drawn(random: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Random numbers in low..high, each row in one of four ways: anything; up to a random length of bits, as sound
    of some loudness; each number of its own length; or edges alone."""
    bits = int(max(abs(low), abs(high))).bit_length()
    rest = (1,) * (len(shape) - 1)
    way = random.integers(0, 4, (shape[0], *rest))
    any_length = random.integers(0, bits + 1, shape)
    length = np.where(way == 1, random.integers(0, bits + 1, (shape[0], *rest)), any_length)
    short = random.integers(-(1 << 48), 1 << 48, shape) >> 48 - length
    if low >= 0:
        short = np.abs(short)
    sharp = random.choice(edges(low, high), shape)
    even = random.integers(low, high + 1, shape)
    return np.clip(np.where(way == 0, even, np.where(way == 3, sharp, short)), low, high)
