"""One processor of the chip: calls native functions of .mpy files as MicroPython would, under qemu's user mode.

    with Core("xtensawin") as core:
        core.call(code, samples, 160)

The guest program is runtime.c. It shares its memory with this process, so that a call costs one byte each way.
Buffers lie there between canaries, as aligned as the caller has them and overlapping where the caller's overlap.
"""

import mmap
import operator
import os
import select
import signal
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from sourdine_tools.chip import toolchain
from sourdine_tools.chip.toolchain import CODE, CODE_SIZE, RAM, RAM_SIZE

QEMU = {"xtensawin": ("qemu-xtensa", "-cpu", "de233_fpu"), "rv32imc": ("qemu-riscv32",)}
CANARY = 64  # bytes between a buffer and whatever is next to it, at least
TIMEOUT_S = 10.0  # of one call, or of a batch's every 64 kB

_JOB = struct.Struct("<9I")  # struct job in runtime.c
_ARENA = 0x4000  # offset of the words, the results and then the buffers
_RESULT_INT, _RESULT_OBJECT = 1, 2
_ARGUMENTS = 32
_MISSING, _MISSING_END, _WRONG_COUNT = 0x0FFF_0000, 0x0FFF_0400, 0x0FFF_02C0  # runtime.c: 16 bytes a helper
_PATTERN = np.random.default_rng(64).integers(1, 256, 4096).astype(np.uint8)  # so that no write looks like it


class Stray(Exception):
    """A function wrote outside the buffers it was given, or into one that is read-only.

    `argument` is the index of the buffer beside which (or into which) it wrote, `call` the index in the batch.
    """

    def __init__(self, message: str, argument: int, call: int = 0):
        super().__init__(message)
        self.argument, self.call = argument, call


class Fault(Exception):
    """A function did what stops the chip: a wild pointer, an unaligned access, an unknown helper, or it never ends.

    `call` is its index in the batch.
    """

    def __init__(self, message: str, call: int = 0):
        super().__init__(message)
        self.call = call


@dataclass(frozen=True)
class Shared:
    """In a batch: one buffer for every call, which none may write."""

    buffer: object


@dataclass(frozen=True)
class Same:
    """In a batch: the very buffer that argument `index` is."""

    index: int


@dataclass
class _Span:
    """A buffer of the caller's: where it is there, and at which offset from a segment's start it is here."""

    argument: int
    address: int
    size: int
    writable: bool
    offset: int = 0


@dataclass
class _Segment:
    """Buffers, with what overlaps in the caller's memory overlapping, and canaries around."""

    spans: list[_Span]
    size: int = 0
    writable: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        end = reach = start = base = (
            0  # of the segment; of the region in the caller's memory and where it begins, here too
        )
        for span in sorted(self.spans, key=lambda span: span.address):
            if span.address >= reach or not span.size:
                start = span.address
                self.size = (end + CANARY + 15) // 16 * 16 + start % 16
                span.offset = self.size
                base = self.size
            span.offset = base + span.address - start
            reach = max(reach, span.address + span.size)
            end = max(end, span.offset + span.size)
        self.size = (end + CANARY + 15) // 16 * 16
        self.writable = np.zeros(self.size, bool)
        for span in self.spans:
            if span.writable:
                self.writable[span.offset : span.offset + span.size] = True

    def blank(self, count: int) -> np.ndarray:
        """uint8 [count, size], all canary."""
        return np.tile(np.resize(_PATTERN, self.size), (count, 1))

    def check(self, before: np.ndarray, after: np.ndarray, call: int) -> None:
        """Raises Stray unless only writable bytes differ. Both [count, size]; the first row is of that call."""
        differ = (before != after) & ~self.writable
        if not differ.any():
            return
        row = int(differ.any(axis=1).argmax())
        at = int(differ[row].argmax())
        size = int(differ[row].sum())

        def distance(span: _Span) -> int:
            return max(span.offset - at, at - (span.offset + span.size) + 1, 0)

        span = min(self.spans, key=distance)
        where = at - span.offset
        what = (
            f"{where - span.size} bytes past its end"
            if where >= span.size
            else f"{-where} bytes before it"
            if where < 0
            else f"at its byte {where}, and it is read-only"
        )
        raise Stray(
            f"call {call + row}: {size} bytes changed by argument {span.argument} ({span.size} bytes): first {what}",
            span.argument,
            call + row,
        )


class Core:
    """A processor of this architecture, "xtensawin" (ESP32, ESP32-S3) or "rv32imc" (ESP32-C3, C6).

    A context manager; works outside of `with`, too, until close(). After a Fault the next call starts it anew.
    Raises Mistake, naming what to install, if Debian's tools are missing.
    """

    def __init__(self, arch: str, counting: bool = False, timeout_s: float = TIMEOUT_S):
        self.arch, self.counting, self.timeout_s = arch, counting, timeout_s
        self._program = toolchain.runtime(arch)
        self._file = os.memfd_create("sourdine-chip")
        os.ftruncate(self._file, RAM_SIZE)
        self._map = mmap.mmap(self._file, RAM_SIZE)
        self._ram = np.frombuffer(self._map, np.uint8)
        self._process: subprocess.Popen[bytes] | None = None
        self._entries: dict[bytes, int] = {}
        self._free = CODE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def call(self, code: bytes, *arguments) -> int | None:
        """The function's result for ints (32 bits, signed or not) and buffers (whatever has the buffer protocol).

        A buffer is written back if it is writable. Raises Stray or Fault; buffers are then as they were.
        """
        spans, views, words = [], {}, []
        for index, argument in enumerate(arguments):
            if _is_int(argument):
                words.append(_word(argument))
                continue
            view = memoryview(argument)
            if not view.c_contiguous:
                raise ValueError(f"argument {index} is not contiguous")
            data = np.frombuffer(view.cast("B") if view.nbytes else b"", np.uint8)
            spans.append(_Span(index, data.ctypes.data, data.size, not view.readonly))
            views[index] = data
            words.append(0)
        segment = _Segment(spans)
        before = segment.blank(1)
        for span in spans:
            before[0, span.offset : span.offset + span.size] = views[span.argument]
        table = np.array([words], np.uint32).reshape(1, len(words))
        results, after = self._run(code, table, [(span.argument, span.offset) for span in spans], segment, before)
        for span in spans:
            if span.writable:
                views[span.argument][:] = after[0, span.offset : span.offset + span.size]
        return int(results[0, 1]) if results[0, 0] else None

    def _run(
        self, code: bytes, words: np.ndarray, buffers: Sequence[tuple[int, int]], segment: _Segment, before: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Runs words.shape[0] calls in one go. Returns results int32 [count, 2] of (is not None, value), and memory."""
        count, arguments = words.shape
        if arguments > _ARGUMENTS:
            raise ValueError(f"{arguments} arguments; the harness passes {_ARGUMENTS}")
        results_at = _ARENA + 4 * words.size
        base = (results_at + 8 * count + 15) // 16 * 16
        if base + before.size > CODE - RAM:
            raise ValueError(f"{before.size} bytes of buffers; the harness has {CODE - RAM - base}")
        mask = 0
        for index, offset in buffers:
            words[:, index] = RAM + base + offset + segment.size * np.arange(count)
            mask |= 1 << index
        entry = self._entry(code)
        process = self._running()
        self._ram[_ARENA : _ARENA + 4 * words.size] = np.ascontiguousarray(words).view(np.uint8).reshape(-1)
        memory = self._ram[base : base + before.size]
        memory[:] = before.reshape(-1)
        job = _JOB.pack(entry, arguments, mask, count, RAM + _ARENA, RAM + results_at, 0, 0, 0)
        self._map[: _JOB.size] = job
        self._go(process, self.timeout_s * max(1, before.size >> 16))
        results = self._ram[results_at : results_at + 8 * count].view(np.int32).reshape(count, 2).copy()
        after = memory.reshape(before.shape).copy()
        segment.check(before, after, 0)
        if (results[:, 0] == _RESULT_OBJECT).any():
            raise Fault("returns an object that is no int", int((results[:, 0] == _RESULT_OBJECT).argmax()))
        return results, after

    def _entry(self, code: bytes) -> int:
        """Where the function is in the guest. Never overwrites any that it may have translated."""
        if code not in self._entries:
            if self._free + len(code) > CODE + CODE_SIZE:
                self._stop()
                self._entries.clear()
                self._free = CODE
                if len(code) > CODE_SIZE:
                    raise ValueError(f"{len(code)} bytes of code; the harness has {CODE_SIZE}")
            self._map[self._free - RAM : self._free - RAM + len(code)] = code
            self._entries[code] = self._free
            self._free = (self._free + len(code) + 31) // 16 * 16
        return self._entries[code]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process and self._process.poll() is not None:
            self._stop()
        if not self._process:
            if self._file < 0:
                raise ValueError("the core is closed")
            self._process = subprocess.Popen(
                [*QEMU[self.arch], str(self._program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[self._file],
                bufsize=0,
            )
            assert self._process.stdin
            self._process.stdin.write(struct.pack("<I", self._file))
            self._await(self._process, TIMEOUT_S)
        return self._process

    def _go(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        assert process.stdin
        process.stdin.write(b"\1")
        self._await(process, timeout_s)

    def _await(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        assert process.stdout
        ready, _, _ = select.select([process.stdout], [], [], timeout_s)
        if ready and process.stdout.read(1):
            return
        call, number, address = _JOB.unpack(self._map[: _JOB.size])[6:9]
        trouble = _trouble(number, address) if ready else f"does not end: stopped after {timeout_s:g} s"
        words = self._stop()
        raise Fault(f"call {call} {trouble or words}", call)

    def _stop(self) -> str:
        """Ends qemu; returns how it went."""
        process, self._process = self._process, None
        if not process:
            return ""
        process.kill()
        _, errors = process.communicate()
        lines = errors.decode(errors="replace").strip().splitlines()
        return f"ends qemu (status {process.returncode}): {lines[-1] if lines else 'it says nothing'}"


def _trouble(number: int, address: int) -> str:
    if number == signal.SIGSEGV and address == _WRONG_COUNT:
        return "takes another number of arguments"
    if number == signal.SIGSEGV and _MISSING <= address < _MISSING_END:
        return f"calls helper {(address - _MISSING) // 16} of mp_fun_table (py/nativeglue.h), which the harness has not"
    causes = {
        signal.SIGSEGV: "uses a wild pointer: nothing is at",
        signal.SIGBUS: "reads or writes unaligned at",
        signal.SIGFPE: "divides by zero at",
        signal.SIGILL: "has an instruction that this processor has not, at",
    }
    return f"{causes[signal.Signals(number)]} {address:#x}" if number in causes else ""


def _is_int(argument: object) -> bool:
    return hasattr(argument, "__index__") and not hasattr(argument, "__len__") and not getattr(argument, "ndim", 0)


def _word(value) -> int:
    value = operator.index(value)
    if not -(1 << 31) <= value < 1 << 32:
        raise ValueError(f"{value} has more than 32 bits")
    return value & 0xFFFF_FFFF
