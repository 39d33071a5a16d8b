"""One processor of the chip: calls native functions of .mpy files as MicroPython would, under qemu's user mode.

    with Core("xtensawin") as core:
        core.call(code, samples, 160)

A function that errs raises Stray or Fault, and the next call works again. Ints have 32 bits, signed in results.
"""

import operator
from dataclasses import dataclass
from typing import Self

import numpy as np

from sourdine_tools.chip.counts import Counts
from sourdine_tools.chip.guest import ARENA, ARGUMENTS, QEMU, ROOM, Fault, Guest
from sourdine_tools.chip.memory import Segment, Span, Stray
from sourdine_tools.chip.toolchain import RAM

__all__ = ["Core", "Counts", "Fault", "Same", "Shared", "Stray"]

TIMEOUT_S = 10.0
_CHUNK = 1 << 22  # bytes of memory for as many of a batch's calls as run in one go
_OBJECT = 2  # the kind of a result that is neither None nor an int


@dataclass(frozen=True)
class Shared:
    """In a batch: one buffer for every call, which none may write."""

    buffer: object


@dataclass(frozen=True)
class Same:
    """In a batch: the very buffer (or number) that argument `index` is; that one comes first."""

    index: int


class Core:
    """A processor of this architecture: "xtensawin" (ESP32, ESP32-S3) or "rv32imc" (ESP32-C3, C6).

    A context manager. With `counting`, `counts` says what the last call or batch executed, at a third of the speed.
    A call that takes longer than timeout_s is a Fault.
    Raises Mistake, naming what to install, if Debian's tools are missing.
    """

    def __init__(self, arch: str, counting: bool = False, timeout_s: float = TIMEOUT_S):
        if arch not in QEMU:
            raise ValueError(f"{arch!r} is none of {', '.join(QEMU)}")
        self.arch, self.counting = arch, counting
        self._guest = Guest(arch, counting, timeout_s)
        self._counts: Counts | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._guest.close()

    @property
    def counts(self) -> Counts:
        """Of the last call, or of all calls of the last batch."""
        if self._counts is None:
            raise ValueError("nothing was counted: that takes Core(…, counting=True), and a call that returns")
        return self._counts

    def call(self, code: bytes, *arguments) -> int | None:
        """The function's result for ints and buffers (whatever has the buffer protocol and is contiguous).

        A writable buffer is written back. Raises Stray or Fault; then all buffers are as they were.
        """
        words, rows, spans = np.zeros((1, len(arguments)), np.uint32), {}, []
        for index, argument in enumerate(arguments):
            if _is_int(argument):
                words[0, index] = _word(argument)
            else:
                data, writable = _bytes(argument, index)
                rows[index] = data.reshape(1, -1)
                spans.append(Span(index, data.ctypes.data, data.size, writable))
        results, after = self._calls(code, words, rows, Segment([]), Segment(spans))
        for span in spans:
            if span.writable:
                rows[span.argument][:] = after[:, span.offset : span.offset + span.size]
        return int(results[0, 1]) if results[0, 0] else None

    def batch(self, code: bytes, count: int, *arguments) -> tuple[np.ndarray, list[np.ndarray]]:
        """Calls the function `count` times. Returns its results, int32 [count] (0 for None), and the 2-D arrays after.

        Each argument is an int for all calls, an array of ints [count], a 2-D array [count, cells] whose rows are
        the calls' own buffers, Shared(buffer) or Same(index). The caller's arrays stay as they are; the returned ones
        are copies, one for each 2-D argument, in order, of its type. An array that is not writeable must stay as it is.
        """
        words, rows, own, shared, given = np.zeros((count, len(arguments)), np.uint32), {}, [], [], []
        for index, argument in enumerate(arguments):
            if isinstance(argument, Same):
                if argument.index in rows:
                    rows[index] = rows[argument.index]
                    spans = next(spans for spans in (own, shared) if any(s.argument == argument.index for s in spans))
                    twin = next(span for span in spans if span.argument == argument.index)
                    spans.append(Span(index, twin.address, twin.size, twin.writable))
                else:
                    words[:, index] = words[:, argument.index]
            elif isinstance(argument, Shared):
                data, _ = _bytes(argument.buffer, index)
                rows[index] = data.reshape(1, -1)
                shared.append(Span(index, data.ctypes.data, data.size, writable=False))
            elif isinstance(argument, np.ndarray) and argument.ndim == 2:
                rows[index] = _rows(argument, count, index)
                own.append(Span(index, argument.ctypes.data, rows[index].shape[1], argument.flags.writeable))
                given.append((own[-1], np.empty_like(rows[index]), argument.dtype))
            else:
                words[:, index] = _words(argument, count, index)
        results, common, segment = np.zeros((count, 2), np.int32), Segment(shared), Segment(own)
        step = max(1, _CHUNK // (segment.size + 4 * len(arguments) + 8))
        self._guest.forget(code)
        for first in range(0, count, step):
            part = slice(first, first + step)
            chunk = {span.argument: rows[span.argument][part] for span in own}
            chunk.update((span.argument, rows[span.argument]) for span in shared)
            results[part], after = self._calls(code, words[part], chunk, common, segment, first)
            for span, array, _ in given:
                array[part] = after[:, span.offset : span.offset + span.size]
        return results[:, 1].copy(), [array.view(kind) for _, array, kind in given]

    def _calls(
        self,
        code: bytes,
        words: np.ndarray,
        rows: dict[int, np.ndarray],
        common: Segment,
        segment: Segment,
        first: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The calls of a chunk: results int32 [count, 2] of (kind, value), and the own segments' memory afterwards.

        words [count, arguments] already has the ints. In memory: the words, the results, the buffers that the calls
        have in common, then each call's own. A chunk that is no part of a batch (first is None) is counted by itself.
        """
        count, arguments = words.shape
        results_at = ARENA + 4 * words.size
        common_at = (results_at + 8 * count + 15) // 16 * 16
        own_at = common_at + common.size
        end = own_at + segment.size * count
        if end > ARENA + ROOM or arguments > ARGUMENTS:
            raise ValueError(f"{arguments} arguments, {end - ARENA} bytes; the harness has {ARGUMENTS} and {ROOM}")
        buffers = 0
        for base, spans in (common_at, common.spans), (own_at, segment.spans):
            step = 0 if spans is common.spans else segment.size
            for span in spans:
                words[:, span.argument] = RAM + base + span.offset + step * np.arange(count)
                buffers |= 1 << span.argument
        befores = common.filled(1, rows), segment.filled(count, rows)
        memory = self._guest.memory
        for at, data in (ARENA, words), (common_at, befores[0]), (own_at, befores[1]):
            memory[at : at + data.nbytes] = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
        if first is None:
            self._guest.forget(code)
        self._counts = None
        self._guest.run(code, arguments, buffers, count, ARENA, results_at, first or 0)
        after = memory[own_at:end].reshape(befores[1].shape).copy()
        try:
            segment.check(befores[1], after, first or 0)
            common.check(befores[0], memory[common_at:own_at].reshape(1, -1))
        except Stray:
            self._guest.distrust()
            raise
        results = memory[results_at : results_at + 8 * count].view(np.int32).reshape(count, 2).copy()
        if (results[:, 0] == _OBJECT).any():
            raise Fault("returns an object that is no int", (first or 0) + int((results[:, 0] == _OBJECT).argmax()))
        if self.counting:
            self._counts = self._guest.counts(code)
        return results, after


def _is_int(argument) -> bool:
    return hasattr(argument, "__index__") and not getattr(argument, "ndim", 0)


def _word(argument) -> int:
    value = operator.index(argument)
    if not -(1 << 31) <= value < 1 << 32:
        raise ValueError(f"{value} has more than 32 bits")
    return value & 0xFFFF_FFFF


def _words(argument, count: int, index: int) -> np.ndarray | int:
    if _is_int(argument):
        return _word(argument)
    values = np.asarray(argument)
    if values.shape != (count,) or values.dtype.kind not in "iub":
        raise ValueError(f"argument {index} is {values.dtype} {values.shape}, not {count} ints or 2-D")
    if values.size and not -(1 << 31) <= int(values.min()) <= int(values.max()) < 1 << 32:
        raise ValueError(f"argument {index} has more than 32 bits")
    return (values.astype(np.int64) & 0xFFFF_FFFF).astype(np.uint32)


def _bytes(argument, index: int) -> tuple[np.ndarray, bool]:
    """A buffer as uint8 in its own place, and whether it may be written."""
    view = memoryview(argument)
    if not view.c_contiguous:
        raise ValueError(f"argument {index} is not contiguous")
    return np.frombuffer(view.cast("B"), np.uint8) if view.nbytes else np.zeros(0, np.uint8), not view.readonly


def _rows(argument: np.ndarray, count: int, index: int) -> np.ndarray:
    if len(argument) != count:
        raise ValueError(f"argument {index} has {len(argument)} rows, not {count}")
    if argument.size and argument.shape[1] > 1 and argument.strides[1] != argument.itemsize:
        raise ValueError(f"argument {index} has rows that are not contiguous")
    return np.ascontiguousarray(argument).view(np.uint8).reshape(count, argument.shape[1] * argument.itemsize)
