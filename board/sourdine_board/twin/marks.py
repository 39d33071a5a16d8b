"""Marks in the least significant bit, by which a sample can be recognised wherever it turns up.

The twin's microphone replaces the last bit of each sample by the next bit of a maximal-length sequence: at -90 dBFS
nobody hears it, and no 32 of them in a row occur twice. So audio found on a wire says by itself *when* the room made
it; nobody's counters, the firmware's least of all, need be believed.

The sequence is a[n+32] = a[n+22] ^ a[n+2] ^ a[n+1] ^ a[n], whose polynomial x^32 + x^22 + x^2 + x + 1 is primitive
(a test proves it): period 2^32 - 1, and every window of 32 bits but the all-zero one occurs once. Hence a muted
microphone, all zeros, can never look marked.
"""

from functools import lru_cache

import numpy as np

WINDOW = 32  # bits: the degree of the sequence, so the fewest that name an index
TAPS = (0, 1, 2, 22)  # a[n+32] is the XOR of a[n + tap]
START = 0x50DD15E1  # a[0] is bit 0; so chosen that no repeating pattern of 1 to 8 occurs in the longest room
LEAD = 64  # the room starts this far into the sequence, so that a stranger before sample 0 still reads as its -1
ROOM_MAX = 30 * 60 * 16_000  # samples: thirty minutes, the longest room
STRIDE = 32  # one window in this many is tabulated; looking up walks to the next of them


def bits(n: int) -> np.ndarray:
    """The first n marks of a room, uint8[n] of 0 and 1; mark i belongs to room sample i."""
    return _sequence(LEAD + n)[LEAD:]


def locate(samples: np.ndarray, room: int = ROOM_MAX, least: int = WINDOW) -> np.ndarray:
    """Which room sample each of these is, int64[n]: an index below `room`, or -1 where no mark can be read.

    samples  int16[n]: audio that may hold marked pieces in any order, cut anywhere, with anything between them.
    room     how many samples the room has.
    least    how many consecutive marks make a piece, 32 or more; shorter pieces are not recognised.

    Of unmarked noise a window of `least` samples passes for marked with probability room / 2^least: for a room of a
    minute 1 in 4,500 with 32 marks, 1 in 290 million with 48. Where two pieces claim a sample the longer has it. A
    stranger beside a piece is taken for its next sample if its bit happens to fit, so an edge may be off by k samples
    with probability 2^-k: cut at the edges that are known.
    """
    samples = np.asarray(samples)
    found = np.full(len(samples), -1, np.int64)
    if least < WINDOW:
        raise ValueError(f"an index needs {WINDOW} marks, not {least}")
    if len(samples) < least:
        return found
    windows = _windows((samples & 1).astype(np.uint8))
    starts = np.flatnonzero(np.concatenate(([True], windows[1:] != _step(windows[:-1]))))
    lengths = np.diff(np.append(starts, len(windows))) + WINDOW - 1
    kept = lengths >= least
    starts, lengths = starts[kept], lengths[kept]
    indices = _indices(windows[starts])
    kept = (indices > -LEAD) & (indices < room)
    starts, lengths, indices = starts[kept], lengths[kept], indices[kept]
    for piece in np.argsort(lengths, kind="stable"):  # the longest last, so that it has what two claim
        start, index, length = int(starts[piece]), int(indices[piece]), int(lengths[piece])
        run = np.arange(max(-index, 0), min(length, room - index))
        found[start + run] = index + run
    return found


def _sequence(n: int) -> np.ndarray:
    """a[0], a[1] … uint8[n]."""
    sequence = np.empty(max(n, WINDOW), np.uint8)
    sequence[:WINDOW] = START >> np.arange(WINDOW) & 1
    known, hop = WINDOW, 1
    while known < n:
        if known >= 2 * WINDOW * hop:
            hop *= 2  # squaring a polynomial over GF(2) only spreads its exponents: the same taps hold at twice the hop
        more = min((WINDOW - TAPS[-1]) * hop, n - known)
        oldest = known - WINDOW * hop
        sequence[known : known + more] = np.bitwise_xor.reduce(
            [sequence[oldest + tap * hop : oldest + tap * hop + more] for tap in TAPS]
        )
        known += more
    return sequence[:n]


def _windows(marks: np.ndarray) -> np.ndarray:
    """uint32[n - 31]: the 32 marks from each position on, the first in bit 0."""
    windows = marks.astype(np.uint32)
    for width in (1, 2, 4, 8, 16):
        windows = windows[:-width] | windows[width:] << np.uint32(width)
    return windows


def _step(windows: np.ndarray) -> np.ndarray:
    """The window one sample later, for each of them."""
    new = np.bitwise_xor.reduce([windows >> np.uint32(tap) for tap in TAPS]) & np.uint32(1)
    return windows >> np.uint32(1) | new << np.uint32(WINDOW - 1)


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray]:
    """Every STRIDE-th window of the longest room, sorted, and the index of each."""
    table = np.packbits(_sequence(LEAD + ROOM_MAX + STRIDE), bitorder="little").view("<u4").astype(np.uint32)
    order = np.argsort(table)
    return table[order], order * STRIDE - LEAD


def _indices(windows: np.ndarray) -> np.ndarray:
    """The index of each window, int64[n], or -LEAD for one that the longest room does not have."""
    table, indices = _table()
    found = np.full(len(windows), -LEAD, np.int64)
    for walked in range(STRIDE):
        place = np.minimum(np.searchsorted(table, windows), len(table) - 1)
        hit = table[place] == windows
        found[hit] = np.maximum(indices[place[hit]] - walked, -LEAD)
        windows = _step(windows)
    return found
