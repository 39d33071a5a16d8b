"""The running qemu: shares its memory with this process, runs jobs, says what stopped it."""

import contextlib
import mmap
import os
import select
import signal
import struct
import subprocess

import numpy as np

from sourdine_board.mistake import Mistake
from sourdine_tools.chip import toolchain
from sourdine_tools.chip.counts import Counts
from sourdine_tools.chip.toolchain import CODE, CODE_SIZE, RAM, RAM_SIZE, TEXT, TEXT_SIZE

# qemu's Xtensa raises an exception for an unaligned access; its RISC-V needs the plugin for that.
QEMU = {"xtensawin": ("qemu-xtensa", "-cpu", "de233_fpu"), "rv32imc": ("qemu-riscv32",)}
CHECKED = {"xtensawin": False, "rv32imc": True}
ARENA = 0x4000  # from here to CODE the memory is the caller's
ROOM = CODE - RAM - ARENA
ARGUMENTS = 32

_JOB = struct.Struct("<9I")  # struct job in runtime.c
_INDEX, _TROUBLE = slice(24, 28), slice(28, 36)  # the job's: the call that runs; signal and address
_HELPERS, _STOP = slice(_JOB.size, _JOB.size + 4 * 64), 63  # the table follows the job; its last entry ends helpers
_MISSING, _MISSING_END, _WRONG_COUNT = 0x0FFF_0000, 0x0FFF_0400, 0x0FFF_02C0  # runtime.c: 16 bytes a helper
_NAMES = {3: "from_object", 4: "to_object", 44: "check", 46: "floor_divide", 47: "modulo", 50: "memset", 51: "memmove"}
_START_S = 60.0  # of a machine that is busy with something else


class Fault(Exception):
    """A function did what it may not: a wild pointer, an unaligned access, an unknown helper, or it never ends.

    The ESP32's and ESP32-S3's cores do unaligned accesses in internal RAM (core-isa.h, XCHAL_UNALIGNED_LOAD_HW), the
    ESP32-C3 with an erratum; none of ours may need that. `call` is the index in the batch.
    """

    def __init__(self, what: str, call: int = 0):
        super().__init__(f"call {call} {what}")
        self.what, self.call = what, call


class Guest:
    """`memory` is the guest's, uint8; from ARENA on it is the caller's. qemu starts with the first job.

    After a Fault the next job starts it anew.

    Raises Mistake, naming what to install, if Debian's tools are missing.
    """

    def __init__(self, arch: str, counting: bool, timeout_s: float):
        self._timeout_s = timeout_s
        self._command = [*QEMU[arch], str(toolchain.runtime(arch))]
        cells = 2 * CODE_SIZE + TEXT_SIZE if counting else 0
        self._file = os.memfd_create("sourdine-chip")
        os.ftruncate(self._file, RAM_SIZE + 8 * cells)
        if counting or CHECKED[arch]:
            options = (self._file, CHECKED[arch], RAM, CODE, CODE_SIZE, TEXT, TEXT_SIZE, 0, RAM_SIZE * counting)
            plugin = [str(toolchain.plugin()), *(f"{i}={int(option)}" for i, option in enumerate(options))]
            self._command[1:1] = ["-plugin", ",".join(plugin)]
        shared = mmap.mmap(self._file, RAM_SIZE + 8 * cells)
        self.memory = np.frombuffer(shared, np.uint8, RAM_SIZE)
        self._cells = np.frombuffer(shared, np.uint64, cells, RAM_SIZE)
        self._executed, self._taken, self._helped = np.split(
            self._cells, [cells and CODE_SIZE, cells and 2 * CODE_SIZE]
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._entries: dict[bytes, int] = {}
        self._free = CODE

    def close(self) -> None:
        self._stop()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def run(self, code: bytes, arguments: int, buffers: int, count: int, words: int, results: int, first: int) -> None:
        """Calls the function `count` times. buffers: a bit for each argument that is an address.

        words and results: where in memory count rows of arguments are, and count pairs of kind (0 None, 1 int,
        2 another object) and value shall be. first: the number of the first call, for messages.
        """
        entry = self._entry(code)
        process = self._running()  # _entry() may have ended the one before
        job = _JOB.pack(entry, arguments, buffers, count, RAM + words, RAM + results, 0, 0, 0)
        self.memory[: _JOB.size] = np.frombuffer(job, np.uint8)
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has died: _wait() says how
            process.stdin.write(b"\1")
        self._wait(process, first, self._timeout_s)

    def distrust(self) -> None:
        """Start anew with the next job: a function wrote where it must not, perhaps here, too."""
        self._stop()

    def forget(self, code: bytes) -> None:
        """Begin to count anew."""
        if self._cells.size:
            at = self._entry(code) - CODE
            self._executed[at : at + len(code)] = self._taken[at : at + len(code)] = 0
            self._helped[:] = 0

    def counts(self, code: bytes) -> Counts:
        """Since forget(), if this guest counts."""
        at = self._entry(code) - CODE
        ran, taken = self._executed[at : at + len(code)], self._taken[at : at + len(code)]
        return Counts(
            code,
            {int(pc): int(ran[pc]) for pc in ran.nonzero()[0]},
            {int(pc): int(taken[pc]) for pc in taken.nonzero()[0]},
            self._helpers(),
        )

    def _helpers(self) -> dict[str, tuple[int, int]]:
        """Each ends where the next one begins, or at the program's end."""
        table = self.memory[_HELPERS].view(np.uint32).astype(int) - TEXT
        here = {name: int(table[number]) for number, name in _NAMES.items()}
        marks = sorted([*here.values(), int(table[_STOP]), TEXT_SIZE])
        found = {}
        for name, start in here.items():
            end = marks[marks.index(start) + 1]
            if instructions := int(self._helped[start:end].sum()):
                found[name] = int(self._helped[start:end][self._helped[start:end].nonzero()[0][0]]), instructions
        return found

    def _entry(self, code: bytes) -> int:
        """Where the function is in the running guest. Never overwrites one that may have been translated."""
        self._running()
        if code not in self._entries:
            if self._free + len(code) > CODE + CODE_SIZE:
                if len(code) > CODE_SIZE:
                    raise ValueError(f"{len(code)} bytes of code; the harness has {CODE_SIZE}")
                self._stop()
            self.memory[self._free - RAM : self._free - RAM + len(code)] = np.frombuffer(code, np.uint8)
            self._entries[code] = self._free
            self._free = (self._free + len(code) + 31) // 16 * 16
        return self._entries[code]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process and self._process.poll() is not None:
            self._stop()
        if not self._process:
            if self._file < 0:
                raise ValueError("the core is closed")
            self.memory[: _JOB.size] = 0
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[self._file],
                bufsize=0,
            )
            assert self._process.stdin
            self._process.stdin.write(struct.pack("<I", self._file))
            try:
                self._wait(self._process, 0, _START_S)
            except Fault as error:
                raise Mistake(f"{self._command[0]} does not start: {error.what}") from None
        return self._process

    def _wait(self, process: subprocess.Popen[bytes], first: int, timeout_s: float) -> None:
        """Until the guest's byte comes. Raises Fault if it ends instead, or stays at one call for too long."""
        assert process.stdout
        call = 0
        while True:
            ready, _, _ = select.select([process.stdout], [], [], timeout_s)
            if ready and process.stdout.read(1):
                return
            before, call = call, int(self.memory[_INDEX].view(np.uint32)[0])
            if ready:
                number, address = self.memory[_TROUBLE].view(np.uint32).tolist()
                ended = self._stop()
                raise Fault(_trouble(number, address) or ended, first + call)
            if call == before:
                self._stop()
                raise Fault(f"does not end: stopped after {timeout_s:g} s", first + call)

    def _stop(self) -> str:
        """Ends qemu, and forgets what is in its memory; returns how it went."""
        process, self._process = self._process, None
        self._entries.clear()
        self._free = CODE
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
        signal.SIGTRAP: "stops at a breakpoint, at",
    }
    return f"{causes[signal.Signals(number)]} {address:#x}" if number in causes else ""
