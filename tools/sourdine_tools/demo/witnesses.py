"""What the witnesses wrote down, brought to one clock: room samples, and one Link per connection."""

import asyncio
import time
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import numpy as np

from sourdine import spec
from sourdine_board.twin import marks
from sourdine_tools.demo.proof import CUT, SMUGGLED, Evidence, Link, clock
from sourdine_tools.demo.relay import IN, OUT, Connection
from sourdine_tools.demo.second_opinion import confirmed
from sourdine_tools.server import Server, Session

SETTLE_S = 5.0  # host's time for what is on its way to arrive, when the room is over


class Tap:
    """The server's plaintext as it came, and how much audio the server held at that moment."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.plaintext: dict[str, bytearray] = {}  # connection → device to server
        self.held: list[tuple[str, int, int]] = []  # connection, bytes of its plaintext so far, bytes of audio held
        self._latest = ""

    def __call__(self, connection: str, direction: str, data: bytes) -> None:
        if direction == "in":
            self._latest = connection
            self.plaintext.setdefault(connection, bytearray())
            self._look()
            self.plaintext[connection] += data

    def on_session(self, session: Session) -> None:
        """A session is over: look before its buffer is wiped, and after."""
        self._look()
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        assert self.server
        self.held.append((self._latest, len(self.plaintext[self._latest]), self.server.buffered))


def evidence(
    trace: list[dict], heard: np.ndarray, reference: np.ndarray, relayed: list[Connection], tap: Tap
) -> tuple[Evidence, dict[str, Link]]:
    """The evidence of one life of the chip, and its links by the tap's name for them.

    trace      the twin's events since that life began
    heard      int16, what the microphone gave; as long as the room
    reference  second_opinion.scores() of it
    relayed    all connections that the relay ever saw, as the tap all plaintext: this life's are the last ones
    """
    sockets = _sockets(trace)
    own = relayed[len(relayed) - len(sockets) :]
    _settle(lambda: all(len(c.sent[OUT]) >= w[-1][1] for c, w in zip(own, sockets, strict=False)))
    bare = [Link(b"", bytes(c.sent[OUT]), bytes(c.sent[IN]), w) for c, w in zip(own, sockets, strict=False)]
    talking = [link for link in bare if _inside(link)]
    _settle(lambda: sum(map(len, list(tap.plaintext.values())[-len(talking) :])) >= sum(map(_inside, talking)))
    names = list(tap.plaintext)[len(tap.plaintext) - len(talking) :]
    for name, link in zip(names, talking, strict=False):
        link.plaintext = bytes(tap.plaintext[name])
    wakes = [_index(event) for event in trace if event["kind"] == "probe" and event["result"] is True]
    founded = confirmed(wakes, reference)
    presses, releases = (
        [_index(e) for e in trace if e["kind"] == "button" and e["pressed"] is p] for p in (True, False)
    )
    muted = zip_longest(presses, [release for release in releases if presses and release > presses[0]])
    found = Evidence(
        room=len(heard),
        decisions=founded,
        presses=presses,
        cuts=[event["index"] for event in trace if event["kind"] == "contact" and not event["closed"]],
        links=bare,
        heard_muted=sum(int(np.count_nonzero(heard[press + CUT : release])) for press, release in muted),
        stray_bytes=sum(writes[-1][1] for writes in sockets[len(own) :]),
        played=[(e["index"], e["index"] + e["samples"]) for e in trace if e["kind"] == "play"],
        unfounded=[wake for wake in wakes if wake not in founded],
        violations=[str(event["what"]) for event in trace if event["kind"] == "violation"],
    )
    return found, dict(zip(names, talking, strict=False))


def buffered(held: list[tuple[str, int, int]], links: dict[str, Link]) -> np.ndarray:
    """(s of the room, bytes of audio in the server's buffers), in order."""
    clocks = {name: clock(link) for name, link in links.items()}
    found = [(clocks[name](at) / spec.SAMPLE_RATE, count) for name, at, count in held if name in clocks]
    return np.array([(0.0, 0), *found])


def on_disk(folder: Path, room: int) -> int:
    """How many samples of the room any file in a folder holds, at either alignment and byte order."""
    most = 0
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for skip in (0, 1):
                for order in ("<i2", ">i2"):
                    samples = np.frombuffer(data[skip : skip + (len(data) - skip & ~1)], order)
                    most = max(most, int((marks.locate(samples, room, SMUGGLED) >= 0).sum()))
    return most


def _index(event: dict) -> int:
    """The first room sample captured at or after an event of the twin's trace."""
    return (event["us"] * 16 + 999) // 1000


def _sockets(trace: list[dict]) -> list[list[tuple[int, int]]]:
    """(room sample, bytes so far) after each write, for each connection in the order of dialling."""
    found: dict[int, list[tuple[int, int]]] = {}
    for event in trace:
        if event["kind"] == "socket" and event["op"] == "connect":
            found[event["id"]] = [(_index(event), 0)]
        elif event["kind"] == "socket" and event["op"] == "tx":
            writes = found.setdefault(event["id"], [(_index(event), 0)])
            writes.append((_index(event), writes[-1][1] + event["bytes"]))
    return list(found.values())


def _inside(link: Link) -> int:
    """Bytes of data inside TLS, or 0 if they cannot be counted: the proof says why."""
    try:
        return sum(link.lengths())
    except ValueError:
        return 0


def _settle(arrived: Callable[[], bool]) -> None:
    """Wait for what is still on its way; whether it came is for the proof to say."""
    until = time.monotonic() + SETTLE_S
    while not arrived() and time.monotonic() < until:
        time.sleep(0.01)
