"""Takes from the board's own microphone, by a script that lives in its RAM for as long as the USB session lasts.

Nothing of it is on the flash, and no module there could do it: the shipped firmware lets samples out through the gate
alone. The script drives the relay with the board's own `mute`, proof of the cut included, so the amber LED on the
microphone's supply burns whenever it hears; between two takes the contact is open. A reset ends all of it.
"""

import binascii
import contextlib
import io
import struct
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from sourdine_board.mistake import Mistake
from sourdine_tools.board_link import RESET, START_S, Link, ProgramStopped, connect, explained, line_of

EDGES_HZ = 800  # the relay's heartbeat, as app.py beats it
SETTLE_TURNS = 300  # blocks of 10 ms: proof and settling take 0.7 s, and three times that is a fault
TRIES = 5
Hear = Callable[[str, int], None]  # "ready" when the microphone is live, then "peak" every 100 ms

_PREPARE = f"""
import binascii, gc
from array import array
from sourdine import hardware, mic, mute, spec
_parts = hardware.Hardware()

def _take(pieces, piece):
    # Samples of `pieces` x `piece` blocks, after the microphone has proved itself; said only once it is cut again.
    gc.collect()
    taken = [memoryview(array("h", bytes(2 * spec.HOP * piece))) for _ in range(pieces)]
    relay = mute.Mute(_parts.heartbeat, _parts.rail_mv, _parts.released, _parts.clock)
    try:
        ears = mic.Mic(_parts.open_mic, _parts.clock)
        _parts.every({EDGES_HZ}, relay.beat)
        for turn in range({SETTLE_TURNS}):
            ears.read()
            relay.step(_parts.clock.ticks_ms(), ears.peak, ears.age_ms)
            if relay.live or relay.state is mute.FAULT:
                break
        if not relay.live:
            print("trouble", relay.fault or "the mute button is in")
            return
        print("ready 0")
        lost = ears.lost
        for part in taken:
            loud = 0
            for at in range(0, len(part), spec.HOP):
                part[at : at + spec.HOP] = ears.read()
                loud = max(loud, ears.peak)
                relay.step(_parts.clock.ticks_ms(), ears.peak, ears.age_ms)
                if not relay.live:
                    print("trouble the microphone was cut")
                    return
            print("peak", loud)
    finally:
        relay.off()
        _parts.stop()
    check = 0
    for part in taken:
        check = binascii.crc32(part, check)
        print("data", binascii.b2a_base64(part).decode(), end="")
    print("done", ears.lost - lost, check)
"""
PIECE = 10  # blocks: 100 ms between two readings of the level


class Session:
    """A board that listens when it is asked to."""

    def __init__(self, link: Link) -> None:
        self._link = link
        try:
            link.run(_PREPARE)
        except Mistake as mistake:
            if "ImportError" in str(mistake) or "no module" in str(mistake):
                raise Mistake(f"{link.port} holds no firmware: sourdine flash --port {link.port}") from mistake
            raise

    def take(self, seconds: float, hear: Hear) -> np.ndarray:
        """Samples int16[seconds, rounded up to 0.1 s] at 16 kHz from now on, when `hear` has been told "ready"."""
        answer = _Answer(hear)
        transport = cast(SerialTransport, self._link.transport)
        with explained(self._link.port):
            try:
                transport.exec_raw_no_follow(f"_leash()\n_take({-(-round(seconds * 1000) // 100)}, {PIECE})")
                _follow(transport, answer.add)
            finally:
                _prompt(transport)  # an interrupted script lets go of the relay on its way out
        return answer.samples(self._link.port)


@contextlib.contextmanager
def session(port: str | None) -> Iterator[Callable[[float, Hear], np.ndarray]]:
    """The board on `port`, or the only one; its program starts again afterwards, whatever happened."""
    with connect(port) as link:
        try:
            yield Session(link).take
        except KeyboardInterrupt:
            with contextlib.suppress(TransportError, OSError, struct.error):
                cast(SerialTransport, link.transport).exec_raw_no_follow(RESET)
            raise
        with contextlib.suppress(ProgramStopped):  # an unpaired board says so and stops
            link.reset(START_S)


class _Answer:
    """What the script prints, line by line."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._line = bytearray()
        self._data = bytearray()
        self._end: list[str] = []
        self._trouble = ""

    def add(self, data: bytes) -> None:
        for byte in data:
            if byte != ord("\n"):
                self._line.append(byte)
                continue
            kind, _, rest = self._line.decode(errors="replace").strip().partition(" ")
            self._line.clear()
            if kind == "data":
                with contextlib.suppress(binascii.Error):  # the checksum tells
                    self._data += binascii.a2b_base64(rest)
            elif kind in ("ready", "peak") and rest.isdigit():
                self._hear(kind, int(rest))
            elif kind == "trouble":
                self._trouble = rest
            elif kind == "done":
                self._end = rest.split()

    def samples(self, port: str) -> np.ndarray:
        if self._trouble:
            raise Mistake(f"the board on {port} does not hear: {self._trouble}; mend that and run this again")
        if len(self._end) != 2 or int(self._end[1]) & 0xFFFFFFFF != binascii.crc32(self._data):
            raise Mistake(f"a take came back damaged from {port}: try another cable, then run this again")
        if int(self._end[0]):
            raise Mistake(f"the board on {port} was too slow to listen: run this again with --seconds 2")
        return np.frombuffer(bytes(self._data), "<i2")


def _follow(transport: SerialTransport, hear: Callable[[bytes], None]) -> None:
    """Everything that the script prints, as it comes; mpremote's own takes a system call or two for each byte."""
    line, ended, error = line_of(transport), 0, b""
    while ended < 2:  # its output ends with a byte 4, and so does what it raised
        data = line.read(max(1, line.in_waiting))
        if not data:
            raise TransportError("silent in the middle of an answer")
        for at, part in enumerate(data.split(b"\4")):
            ended += at > 0
            if ended == 0:
                hear(part)
            elif ended == 1:
                error += part
    if error:
        raise TransportExecError(b"", error.decode(errors="replace"))


def _prompt(transport: SerialTransport) -> None:
    """Have the raw REPL say that it is ready; it stops whatever runs and forgets nothing."""
    for _ in range(TRIES):  # an interrupt that comes before the script has begun is lost
        with contextlib.suppress(TransportError, OSError, struct.error), contextlib.redirect_stdout(io.StringIO()):
            transport.enter_raw_repl(soft_reset=False, timeout_overall=1)
            return
