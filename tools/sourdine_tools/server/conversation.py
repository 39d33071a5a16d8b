"""One speaker's connection, from HELLO to the end. Obeys wire.Rules on what comes and on what goes."""

import asyncio
import contextlib
import datetime
import inspect
import time
from typing import TYPE_CHECKING

from sourdine import spec, wire
from sourdine_tools.server.chain import Chain, ChainBroken, ChainUnwritable
from sourdine_tools.server.pki import Device
from sourdine_tools.server.session import Session

if TYPE_CHECKING:
    from sourdine_tools.server.listener import Server

HELLO_S = 5.0  # from the handshake to HELLO
FRAME_S = 5.0  # from a frame's first byte to its last
SESSION_S = 3.0  # between two frames while a session is open
IDLE_S = 60.0  # between two frames otherwise; a speaker says PING every 15 s
WRITE_S = 10.0  # for a speaker to take what it was sent
CLOSE_S = 1.0  # for TLS to say goodbye
CREDIT_S = 30.0  # for a speaker to make room for more of a reply
READ_BYTES = 16_384
RATE = 1_000_000  # bytes/s that one speaker is read at, 30 times what audio needs
BURST_S = 1.0
HELD = 8  # sessions of one speaker whose audio is not wiped yet: 4 MB
EVENTS = {  # those that its owner should hear of
    wire.FAULTY: "its microphone failed the proof and stays cut",
    wire.LOST: "its microphone was cut without the button (a pause, as while connecting, or a bad wire): proven anew",
}


class Conversation:
    """session: the open one, or None."""

    def __init__(
        self,
        server: "Server",
        device: Device | None,
        certificate: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        name: str,
    ) -> None:
        self.session: Session | None = None
        self._server = server
        self._device = device
        self._certificate = certificate
        self._reader = reader
        self._writer = writer
        self._name = name
        self._decoder = wire.Decoder(wire.DEVICE)
        self._rules = wire.Rules()
        self._sequence = 0
        self._chain: Chain | None = None
        self._heard = time.monotonic()
        self._begun: float | None = None  # when the frame under way began
        self._clear = self._heard  # when what was read so far is due at RATE
        self._credit = asyncio.Event()
        self._callbacks: set[asyncio.Task] = set()
        self._over = asyncio.Event()
        self._said_why = False

    async def run(self) -> None:
        """Talk until either side has had enough."""
        try:
            while (chunk := await self._read()) and not self._over.is_set():
                self._heard = time.monotonic()
                self._server.tap(self._name, "in", chunk)
                for frame in self._decoder.feed(chunk):
                    await self._obey(frame)
                self._begun = (self._begun or self._heard) if self._decoder.partial else None
                await self._flush()
                await self._slow_down(len(chunk))
        except wire.WireError as error:
            self._server.announce(f"{self._name}: hung up: {error}")
            await self._say_error(wire.BAD_FRAME)
        except ChainBroken as error:
            self._server.announce(f"{self._name}: hung up: {error}")
            await self._say_error(wire.MISFIT)
        except ChainUnwritable as error:
            self._server.announce(f"{self._name}: hung up: {error}")
            await self._say_error(wire.STOPPING)
        except _Refused as error:
            self._server.announce(f"{self._name}: hung up: {error}")
            await self._say_error(error.code)
        finally:
            self._finish()

    async def hang_up(self, code: int) -> None:
        """Obey nothing more, say why, and close."""
        self._finish()
        await self._say_error(code)
        self._writer.transport.abort()

    async def _read(self) -> bytes:
        async with asyncio.timeout(self._patience()):
            return await self._reader.read(READ_BYTES)

    def _patience(self) -> float:
        """Seconds that the next bytes may take."""
        if not self._rules.greeted:
            until = self._heard + HELLO_S
        elif self._begun is not None:
            until = self._begun + FRAME_S
        else:
            until = self._heard + (SESSION_S if self.session else IDLE_S)
        return max(0.0, until - time.monotonic())

    async def _slow_down(self, count: int) -> None:
        now = time.monotonic()
        self._clear = max(self._clear, now) + count / RATE
        if self._clear > now + BURST_S:
            await asyncio.sleep(self._clear - now - BURST_S)

    # What the speaker says.

    async def _obey(self, frame: wire.Frame) -> None:
        kind = frame.kind
        if kind == wire.HELLO:
            self._hello(*frame.values())
            return
        self._rules.device(kind, frame.session, frame.amount())
        if kind == wire.AUDIO:
            assert self.session
            self.session.add(frame.payload())
        elif kind == wire.WAKE:
            self._wake(frame.session, *frame.values())
        elif kind == wire.END:
            self._end(frame)
        elif kind == wire.EVENT and frame.values()[0] in EVENTS:
            self._server.announce(f"{self._name}: {EVENTS[frame.values()[0]]}")
        elif kind == wire.CREDIT:
            self._credit.set()
        elif kind == wire.PING:
            self._send(wire.PONG, 0, frame.sequence, amount=frame.sequence)
            return
        self._send(wire.ACK, 0, frame.sequence, amount=frame.sequence)
        if kind == wire.END:
            assert self._chain
            self._send(wire.CHAIN, 0, self._chain.sessions, self._chain.head)

    def _hello(self, version: int, pending: int, sessions: int, octets: int, head: bytes) -> None:
        if version != wire.VERSION:
            raise _Refused(wire.BAD_VERSION, f"version {version} of the protocol; this is {wire.VERSION}")
        self._rules.hello(sessions, pending)
        assert self._device
        self._chain = Chain.load(self._server.state, self._device.name)
        if not self._chain.meet(self._device.serial, sessions, octets, head, bool(pending)):
            raise _Refused(wire.MISFIT, "its ledger does not follow from what is written here; run sourdine audit")
        self._send(wire.WELCOME, 0, 0, wire.VERSION, 0, int(time.time()), spec.SESSION_MAX)

    def _wake(self, number: int, first: int) -> None:
        assert self._device and self._chain
        if self._server.authority.device(self._certificate) is None:
            raise _Refused(wire.REVOKED, "its certificate was revoked or replaced")
        if number != self._chain.sessions + 1:
            raise wire.WireError(f"WAKE of session {number} after {self._chain.sessions} in the ledger")
        if sum(each.device == self._device.name for each in self._server.buffers) >= HELD:
            raise _Refused(wire.BUSY, f"{HELD} of its sessions are not dealt with yet")
        self.session = Session(self._device.name, number, first)
        self.session.bind(None, self._close_session)
        self._server.buffers.add(self.session)

    def _end(self, frame: wire.Frame) -> None:
        assert self._chain
        record = bytes(frame.payload())
        number, _, reason, _ = frame.values()
        if number != frame.session:
            raise wire.WireError(f"END of session {frame.session} with the record of {number}")
        session = self.session
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        oddities = len(self._chain.oddities)
        try:
            self._chain.add(record, session and session.samples, session and session.sha256, at)
        except ValueError as error:
            raise wire.WireError(str(error)) from error
        self.session = None
        for odd in self._chain.oddities[oddities:]:
            self._server.announce(f"{self._name}: {odd}")
        if session:
            session.reason = reason
            self._server.announce(session.line())
            self._hand_over(session)

    # What we do about it.

    def _hand_over(self, session: Session) -> None:
        task = asyncio.create_task(self._call_back(session))
        self._callbacks.add(task)
        task.add_done_callback(self._callbacks.discard)

    async def _call_back(self, session: Session) -> None:
        replied = False

        async def reply(pcm: bytes) -> None:
            nonlocal replied
            replied = True
            await self._play(session.number, pcm)

        session.bind(reply, None)
        try:
            if self._server.on_session:
                result = self._server.on_session(session)
                if inspect.isawaitable(result):
                    await result
            if replied:
                with contextlib.suppress(ConnectionError):
                    await self._speak(wire.PLAY_END, session.number)
        except Exception as error:  # noqa: BLE001  whatever the owner's code does, the speaker's line stays up
            self._server.announce(f"{self._name}: on_session failed: {type(error).__name__}")
        finally:
            session.bind(None, None)
            self._server.forget(session)

    async def _play(self, number: int, pcm: bytes) -> None:
        if len(pcm) % 2:
            raise ValueError("a reply is made of 16-bit samples")
        view = memoryview(pcm)
        for at in range(0, len(view), wire.FRAME_BYTES):
            piece = view[at : at + wire.FRAME_BYTES]
            while self._rules.credit < len(piece):
                self._credit.clear()
                if self._over.is_set():
                    raise ConnectionError("the speaker is gone")
                try:
                    async with asyncio.timeout(CREDIT_S):
                        await self._credit.wait()
                except TimeoutError as error:
                    raise ConnectionError("the speaker does not play") from error
            await self._speak(wire.PLAY, number, piece, amount=len(piece))

    async def _speak(self, kind: int, number: int, *values, amount: int = 0) -> None:
        if self._over.is_set():
            raise ConnectionError("the speaker is gone")
        try:
            self._send(kind, number, *values, amount=amount)
        except wire.WireError as error:
            raise ConnectionError(f"too late for a reply: {error}") from error
        await self._flush()

    async def _close_session(self) -> None:
        if self.session:
            with contextlib.suppress(wire.WireError):  # it was asked to already
                self._send(wire.CLOSE, self.session.number)
            await self._flush()

    def _send(self, kind: int, session: int, *values, amount: int = 0) -> None:
        self._rules.server(kind, session, amount)
        data = wire.encode(kind, session, self._sequence, *values)
        self._sequence += 1
        self._server.tap(self._name, "out", data)
        self._writer.write(data)

    async def _flush(self) -> None:
        async with asyncio.timeout(WRITE_S):
            await self._writer.drain()

    async def _say_error(self, code: int) -> None:
        if self._said_why:
            return
        self._said_why = True
        with contextlib.suppress(OSError, TimeoutError):
            self._send(wire.ERROR, 0, code)
            await self._flush()
            self._writer.close()
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()

    def _finish(self) -> None:
        if self._over.is_set():
            return
        self._over.set()
        self._credit.set()
        session, self.session = self.session, None
        if session and self._chain:
            session.reason = spec.LINK
            try:
                self._chain.lose(session.number, session.samples, session.sha256)
            except ChainUnwritable as error:
                self._server.announce(f"{self._name}: {error}")
            self._server.announce(session.line())
            self._hand_over(session)


class _Refused(Exception):
    """Hang up with this code."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
