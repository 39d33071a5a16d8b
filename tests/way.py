"""The whole way for tests: a server, a paired and flashed twin, rooms with speech in them, and what came out."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from sourdine import spec
from sourdine_board.twin import Board, marks
from sourdine_tools import board_files
from sourdine_tools.board_link import connect
from sourdine_tools.demo import voices
from sourdine_tools.demo.frames import AUDIO, Frame, frames
from sourdine_tools.flash import flash
from sourdine_tools.pair import pair
from sourdine_tools.server import Server, Session, serving
from sourdine_tools.server.enrol import mint

RATE = spec.SAMPLE_RATE
COMMAND = "Please write down that we need bread and butter and four large onions for the soup on Saturday evening."


def say(text: str, voice: str = "joe") -> np.ndarray:
    """Speech, int16 at spec.SAMPLE_RATE."""
    return soundfile.read(voices.speak(voice, text), dtype="int16")[0]


class Hub:
    """A server that can be killed like a process and started again on the same port."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = 0
        self.plaintext: dict[str, bytearray] = {}  # connection → device to server
        self.on_audio: Callable[[], None] | None = None
        self.reply: bytes | None = None
        self.killed = threading.Event()
        self.lines: list[str] = []  # what the server announced
        self._stack = contextlib.ExitStack()
        self._lives = 0

    def start(self) -> None:
        self._stack.close()  # of a life before; what was killed says nothing more
        self._lives += 1
        self.killed.clear()
        server = Server(
            self.state,
            port=self.port,
            tap=lambda name, way, data: self._tap(f"{self._lives}/{name}", way, data),
            on_session=self._on_session,
            announce=self.lines.append,
        )
        self.server = self._stack.enter_context(serving(server))
        self.port = self.server.port

    def kill(self) -> None:
        """As kill -9 does: every socket is gone at once, and nobody says goodbye. From the server's own thread."""
        assert self.server._server
        self.server._server.close()
        for conversation in self.server.conversations.values():
            conversation._writer.transport.abort()
        self.killed.set()

    def stop(self) -> None:
        self._stack.close()

    def _tap(self, name: str, way: str, data: bytes) -> None:
        if way == "in" and not self.killed.is_set():
            self.plaintext.setdefault(name, bytearray()).extend(data)
            if self.on_audio:
                self.on_audio()

    async def _on_session(self, session: Session) -> None:
        if self.reply:
            with contextlib.suppress(ConnectionError):
                await session.reply(self.reply)

    def frames(self) -> list[Frame]:
        """What the device said since forget(), by an independent reader."""
        return [frame for plaintext in list(self.plaintext.values()) for frame in frames(bytes(plaintext))[0]]

    def said(self, name: str) -> list[Frame]:
        return [frame for frame in self.frames() if frame.name == name]

    def audio(self) -> np.ndarray:
        """All samples that arrived, int16, in the order of arrival."""
        payload = b"".join(frame.payload for frame in self.said(AUDIO))
        return np.frombuffer(payload, "<i2")


@dataclass
class Way:
    hub: Hub
    board: Board
    folder: Path
    room_s: float = 0.0
    _written: dict[str, bytes] = field(default_factory=dict)
    _sounds: list[tuple[float, str, np.ndarray]] = field(default_factory=list)

    def put(self, name: str, content: str | bytes) -> None:
        """A file on the board, as by hand; what is there already is not written again."""
        data = content.encode() if isinstance(content, str) else content
        if self._written.get(name) != data:
            with connect(self.board.tty) as link:
                board_files.write(link, f"/{name}", data)
            self._written[name] = data

    def play(self, seconds: float, sounds: list[tuple[float, np.ndarray]], events: str = "", **how: str) -> None:
        """Power-cycle into a room and wait for its end. sounds: (s, samples); events: 'press 6.0, release 9'."""
        self.prepare(seconds, sounds, events, **how)
        self.board.wait("end", timeout=120)

    def prepare(
        self,
        seconds: float,
        sounds: list[tuple[float, np.ndarray]],
        events: str = "",
        more: str = "",
        clock: str = "virtual",
    ) -> None:
        self.room_s = seconds
        self.hub.plaintext.clear()
        text = f"seconds = {seconds}\nnoise_dbfs = -60.0\nmarks = true\n"
        for number, (at, samples) in enumerate(sounds):
            path = self.folder / f"sound{number}.wav"
            soundfile.write(path, samples, RATE, subtype="PCM_16")
            text += f"[[sound]]\nat = {at}\nfile = {json.dumps(str(path))}\n"
        for event in filter(None, events.split(", ")):
            do, at, *ms = event.split()
            text += f'[[event]]\nat = {at}\ndo = "{do}"\n' + (f"ms = {ms[0]}\n" if ms else "")
        text += '[probes]\n"sourdine.wake.Wake.hear" = "score"\n' + more
        room = self.folder / "room.toml"
        room.write_text(text)
        self.board.play(room, clock)

    def arrived(self) -> np.ndarray:
        """The room's index of every sample that arrived; each must be recognised but the edges of losses."""
        return marks.locate(self.hub.audio(), int(self.room_s * RATE))

    def reasons(self) -> list[int]:
        """Why this room's sessions ended, by the records that arrived; a record may lawfully arrive twice."""
        last = {frame.session: frame.payload[8] for frame in self.hub.said("end")}
        return [last[frame.session] for frame in self.hub.said("wake") if frame.session in last]

    def sent_us(self) -> list[tuple[int, int]]:
        """(room time in µs, bytes) of every write that the board's sockets took."""
        return [(e["us"], e["bytes"]) for e in self.board.trace if e["kind"] == "socket" and e["op"] == "tx"]


@contextlib.contextmanager
def way(folder: Path, **options) -> Iterator[Way]:
    """A board (options: its own) that is paired with a server of its own and has the firmware."""
    hub = Hub(folder / "server")
    hub.start()
    try:
        with Board(folder / "board", **options) as board:
            code = mint(hub.server.authority, "kitchen")
            pair(
                board.tty,
                device="kitchen",
                ssid="house",
                password="correct horse",
                code=code,
                host="127.0.0.1",
                port=hub.port,
            )
            flash(board.tty)
            yield Way(hub, board, folder)
    finally:
        hub.stop()
