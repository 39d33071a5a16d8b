"""One session: what a speaker sent between a wake and its end, in one buffer that is made once and wiped."""

import datetime
import hashlib
from collections.abc import Awaitable, Callable

from sourdine import spec

Reply = Callable[[bytes], Awaitable[None]]


class Session:
    """What on_session() gets.

    device: name; number: the speaker's count; opened: UTC; seconds, bytes: of the audio; reason: spec.REASONS' key,
    None while it is open; audio: memoryview of s16le mono 16 kHz, zeros as soon as on_session() has returned.
    """

    def __init__(self, device: str, number: int, first: int) -> None:
        self.device = device
        self.number = number
        self.first = first  # I2S frame number of the first sample, by the speaker's count, which goes round 2**28
        self.opened = datetime.datetime.now(datetime.UTC)
        self.reason: int | None = None
        self.bytes = 0
        self._buffer = bytearray(2 * spec.SESSION_MAX)  # never grows: a copy left behind would not be wiped
        self._hash = hashlib.sha256()
        self._reply: Reply | None = None
        self._close: Callable[[], Awaitable[None]] | None = None

    @property
    def audio(self) -> memoryview:
        return memoryview(self._buffer)[: self.bytes].toreadonly()

    @property
    def samples(self) -> int:
        return self.bytes // 2

    @property
    def seconds(self) -> float:
        return self.samples / spec.SAMPLE_RATE

    @property
    def sha256(self) -> str:
        """Of all that was received."""
        return self._hash.hexdigest()

    async def reply(self, pcm: bytes) -> None:
        """Let the speaker play s16le mono 16 kHz: as it has room, after the session. Raises ConnectionError."""
        if self._reply is None or self.reason is None:
            raise ConnectionError("a reply needs a session that is over and a speaker that is there")
        await self._reply(pcm)

    async def close(self) -> None:
        """Ask the speaker to end this session now. It can only end; nothing that a server sends opens one."""
        if self._close and self.reason is None:
            await self._close()

    def bind(self, reply: Reply | None, close: Callable[[], Awaitable[None]] | None) -> None:
        """Give it the way to its speaker, or take it away."""
        self._reply, self._close = reply, close

    def add(self, samples: memoryview) -> None:
        """Append what arrived; wire.Rules has checked that it fits."""
        self._buffer[self.bytes : self.bytes + len(samples)] = samples
        self._hash.update(samples)
        self.bytes += len(samples)

    def wipe(self) -> None:
        """Overwrite the audio."""
        self._buffer[:] = bytes(len(self._buffer))

    def line(self) -> str:
        """What is printed and nothing more."""
        when = self.opened.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        why = spec.REASONS.get(self.reason, "open") if self.reason else "open"
        return f"{when}  {self.device}  session {self.number}  {self.seconds:.2f} s  {self.bytes} bytes  {why}"
