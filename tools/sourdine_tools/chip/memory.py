"""What a call's buffers look like in the chip's memory, and what may have changed there afterwards."""

from dataclasses import dataclass, field

import numpy as np

CANARY = 64  # bytes between a buffer and whatever is next to it, at least
_PATTERN = np.random.default_rng(64).integers(1, 256, 4096).astype(np.uint8)  # so that no write looks like it


class Stray(Exception):
    """A function wrote outside the buffers it was given, or into one that is read-only.

    `argument` is the index of the buffer beside which (or into which) it wrote, `call` the index in the batch.
    """

    def __init__(self, message: str, argument: int, call: int = 0):
        super().__init__(message)
        self.argument, self.call = argument, call


@dataclass
class Span:
    """A buffer of the caller's: where it is there, and at which offset from a segment's start it is here."""

    argument: int
    address: int
    size: int
    writable: bool
    offset: int = 0


@dataclass
class Segment:
    """The buffers of one call: as aligned (mod 16) as the caller's, overlapping where those do, canaries around.

    Segments of one kind may follow each other: each begins and ends with a canary, and its size is a multiple of 16.
    """

    spans: list[Span]
    size: int = 0
    writable: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        """A region is what overlaps in the caller's memory: `start` to `reach` there, from `base` here."""
        end = start = reach = base = 0
        for span in sorted(self.spans, key=lambda span: span.address):
            if span.address >= reach or not span.size:
                canaries = CANARY if end == 0 else 2 * CANARY  # one for each of two neighbours
                start, base = span.address, (end + canaries + 15) // 16 * 16 + span.address % 16
            span.offset = base + span.address - start
            reach = max(reach, span.address + span.size)
            end = max(end, span.offset + span.size)
        self.size = (end + CANARY + 15) // 16 * 16
        self.writable = np.zeros(self.size, bool)
        for span in self.spans:
            if span.writable:
                self.writable[span.offset : span.offset + span.size] = True

    def filled(self, count: int, rows: dict[int, np.ndarray]) -> np.ndarray:
        """uint8 [count, size]: the buffers' bytes, rows[argument] of shape [count, its size], and canaries."""
        memory = np.tile(np.resize(_PATTERN, self.size), (count, 1))
        for span in self.spans:
            memory[:, span.offset : span.offset + span.size] = rows[span.argument]
        return memory

    def check(self, before: np.ndarray, after: np.ndarray, call: int | None = None) -> None:
        """Raises Stray unless only writable bytes differ. Both [count, size]; the first row is that call's.

        Without a call the rows are no calls, and the message names none.
        """
        differ = (before != after) & ~self.writable
        if not differ.any():
            return
        row = int(differ.any(axis=1).argmax())
        at, changed = int(differ[row].argmax()), int(differ[row].sum())

        def distance(span: Span) -> int:
            return max(span.offset - at, at - (span.offset + span.size) + 1, 0)

        span = min(self.spans, key=distance, default=Span(0, 0, 0, writable=False))
        byte = at - span.offset
        where = f"its byte {byte}, and it is read-only"
        if byte < 0:
            where = f"{-byte} before its first byte"
        elif byte >= span.size:
            where = f"{byte - span.size + 1} past its last byte"
        which = "a call" if call is None else f"call {call + row}"
        raise Stray(
            f"{which} wrote {changed} bytes that it must not, near argument {span.argument} of {span.size} bytes: "
            f"the first at {where}",
            span.argument,
            0 if call is None else call + row,
        )
