"""A board at its raw REPL, reached through mpremote's own serial transport.

Entering interrupts the program and resets softly, so boot.py has run and main.py has not. The firmware's
watchdog outlives that and cannot be stopped, but a second `machine.WDT(timeout=…)` re-times the same one
(MicroPython, ports/esp32/machine_wdt.c: esp_task_wdt_reconfigure). Every script renews such a leash, so a
board whose cable is pulled half-way restarts its program by itself.
"""

import ast
import contextlib
import io
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import serial
import serial.tools.list_ports
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport
from serial import SerialException

from sourdine_board.mistake import Mistake
from sourdine_tools import bare_chip
from sourdine_tools.release import ARCHES

OLDEST = (1, 24)  # MicroPython: the first whose ESP32 port runs what the firmware uses
LEASH_MS = 120_000
READ_S = 5.0  # one read of the serial port; a board that is silent for longer inside an answer is gone
ENTER_S = (3, 10)  # for each step into the raw REPL: a board that is just starting misses the first try
LISTEN_S = 2.0  # for what a chip says after a reset; the ROM's banner comes within 0.1 s
START_S = 15.0  # from reset to the program's first line

RESET = "import machine\nmachine.reset()"
_LEASH = f"""
def _leash():
    try:
        import machine
        machine.WDT(timeout={LEASH_MS})
    except (ImportError, AttributeError):
        pass
"""
_IDENTITY = """
import sys
_i = sys.implementation
print((_i.name, tuple(_i.version[:3]), getattr(_i, "_mpy", 0) >> 10 & 15, getattr(_i, "_machine", "")))
"""


class Transport(Protocol):
    """The part of mpremote's Transport that a Link needs."""

    def exec(self, command: str) -> bytes: ...


class BoardFull(Mistake):
    """The board's filesystem has no room left."""


class Unreachable(Mistake):
    """The board does not answer any more; its leash will restart its program."""


class ProgramStopped(Mistake):
    """The board is back, but its program ended with an error, which the text quotes."""


@dataclass
class Link:
    """`run` executes a script on the board. Every trouble on the way is a Mistake that says what to do."""

    transport: Transport
    port: str
    arch: str = ""
    machine: str = ""
    leashed: bool = False

    def run(self, script: str) -> str:
        """Execute `script` under a renewed leash and return what it printed."""
        with explained(self.port):
            if not self.leashed:
                self.transport.exec(_LEASH)
                self.leashed = True
            return self.transport.exec("_leash()\n" + script).decode()

    def identify(self) -> None:
        """Learn `arch` and `machine`; refuse a board that this firmware cannot run on."""
        name, version, arch, self.machine = literal(self.run(_IDENTITY))
        if name != "micropython":
            raise Mistake(f"{self.port} runs {name}, not MicroPython: {bare_chip.recipe(self.port, self.machine)}")
        if tuple(version) < OLDEST:
            have, need = ".".join(map(str, version)), ".".join(map(str, OLDEST))
            raise Mistake(
                f"{self.port} runs MicroPython {have}, {need} or later is needed: "
                + bare_chip.recipe(self.port, self.machine)
            )
        if arch not in ARCHES:
            raise Mistake(
                f"{self.port} is a {self.machine}: this firmware runs on ESP32-S3 and ESP32; choose another --port"
            )
        self.arch = ARCHES[arch]

    def reset(self, patience_s: float = START_S) -> str:
        """Reset the chip; wait for the program's first line and return it, "" if it says nothing.

        Raises ProgramStopped when it ends with an error, Mistake when the board does not come back.
        """
        if not isinstance(self.transport, SerialTransport):
            self.run(RESET)
            return ""
        with explained(self.port):
            self.transport.exec_raw_no_follow(RESET)
        return first_words(self.transport, self.port, patience_s)


@contextlib.contextmanager
def connect(port: str | None) -> Iterator[Link]:
    """A Link to the one board, or to the one on `port`; its program is stopped until the board resets.

    A Mistake on the way restarts the program, if the board still answers.
    """
    port = port or find_port()
    transport = _open(port)
    try:
        _enter(transport, port)
        try:
            link = Link(transport, port)
            link.identify()
            yield link
        except (Unreachable, ProgramStopped):
            raise
        except Mistake:
            with contextlib.suppress(TransportError, OSError, struct.error):
                transport.exec_raw_no_follow(RESET)
            raise
    finally:
        with contextlib.suppress(OSError):
            transport.close()


def find_port() -> str:
    """The only USB serial port, as mpremote would find it."""
    ports = sorted(found.device for found in serial.tools.list_ports.comports() if found.vid is not None)
    if not ports:
        raise Mistake("no board found: plug it in with a USB cable that carries data, or name its port with --port")
    if len(ports) > 1:
        raise Mistake(f"{len(ports)} boards are plugged in ({', '.join(ports)}): choose one with --port")
    return ports[0]


@contextlib.contextmanager
def explained(port: str) -> Iterator[None]:
    """Turn what mpremote and pyserial raise into a Mistake that says what to do."""
    try:
        yield
    except TransportExecError as error:
        lines = error.error_output.strip().splitlines()
        if "ENOSPC" in error.error_output or "OSError: 28" in error.error_output:
            raise BoardFull(f"{port} is full: remove files of your own with `mpremote connect {port} fs rm`") from error
        said = lines[-1] if lines else "nothing"
        raise Mistake(f"{port} refused a step ({said}): press its reset button and run this again") from error
    except (TransportError, OSError, struct.error) as error:
        raise Unreachable(
            f"{port} stopped answering: check the cable and that no other program uses the port, then run this again"
        ) from error


def literal(text: str):
    """The Python value that a script printed."""
    return ast.literal_eval(text.strip())


def _open(port: str) -> SerialTransport:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return SerialTransport(port, timeout=READ_S)
    except (TransportError, SerialException, OSError) as error:
        raise Mistake(why_closed(port)) from error


def line_of(transport: SerialTransport) -> serial.Serial:
    """The port itself; mpremote swaps it for something else only while it mounts a folder."""
    return cast(serial.Serial, transport.serial)


def why_closed(port: str) -> str:
    """Why `port` could not be opened; mpremote keeps the reason to itself."""
    if os.name == "posix":
        try:
            line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            serial_line = os.isatty(line)
            os.close(line)
        except FileNotFoundError:
            return f"there is no port {port}: leave --port away to find the board, or check the cable"
        except PermissionError:
            import grp

            group = grp.getgrgid(os.stat(port).st_gid).gr_name
            return f"no permission to use {port}: run `sudo usermod -aG {group} $USER`, then log out and in again"
        except IsADirectoryError:
            return f"{port} is not a serial port: leave --port away to find the board"
        except OSError as error:
            return f"{port} cannot be opened ({error.strerror}): unplug the board and plug it in again"
        if not serial_line:
            return f"{port} is not a serial port: leave --port away to find the board"
    return f"{port} is in use by another program: close it (a serial monitor, mpremote, an IDE) and run this again"


def _enter(transport: SerialTransport, port: str) -> None:
    """Stop the program and enter the raw REPL; else say what is there instead of MicroPython."""
    said = ""
    # mpremote looks at its clock only when a read comes back empty: let that happen between two lines of a chip
    # that boots again and again.
    line = line_of(transport)
    line.timeout = 0.01
    with explained(port):
        for patience_s in ENTER_S:
            heard = io.StringIO()
            try:
                with contextlib.redirect_stdout(heard):  # mpremote prints what it got instead
                    transport.enter_raw_repl(timeout_overall=patience_s)
            except TransportError:
                said += heard.getvalue()
                if bare_chip.INVALID in said:
                    break
            else:
                line.timeout = READ_S
                return
        if bare_chip.INVALID not in said:
            said += listen_to_reset(transport)
    raise Mistake(bare_chip.explain(port, said))


def listen_to_reset(transport: SerialTransport) -> str:
    """Pull the reset line as esptool does (EN on RTS, IO0 free on DTR) and return what the chip then says."""
    line = line_of(transport)
    with contextlib.suppress(OSError):  # a pty has no such lines
        line.dtr, line.rts = False, True
        time.sleep(0.1)
        line.rts = False
    said, until = b"", time.monotonic() + LISTEN_S
    while time.monotonic() < until:
        said += line.read(line.in_waiting)
        time.sleep(0.02)
    return said.decode(errors="replace")


def first_words(transport: SerialTransport, port: str, patience_s: float) -> str:
    """Read until the program's line `sourdine …`, or the prompt of a board without one.

    A chip with native USB drops its port meanwhile.
    """
    line = line_of(transport)
    said, until = "", time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            if not line.is_open:
                line.open()
                until = min(until, time.monotonic() + 3)  # what it said while the port was away is lost
            said += line.read(line.in_waiting).decode(errors="replace")
        except OSError:
            with contextlib.suppress(OSError):
                line.close()
        lines = said.splitlines(keepends=True)
        for text in lines:
            if text.startswith("sourdine ") and text.endswith("\n"):
                return text.strip()
        if said.endswith(">>> ") and "Traceback" in said:
            after = said[said.rindex("Traceback") :].splitlines()[1:]
            raise ProgramStopped(f"the program on {port} stopped: {next(text for text in after if text[:1] > ' ')}")
        if said.endswith(">>> "):
            return ""  # no program yet
        time.sleep(0.02)
    if not line.is_open:
        raise Mistake(f"{port} did not come back after the reset: unplug the board and plug it in again")
    return ""
