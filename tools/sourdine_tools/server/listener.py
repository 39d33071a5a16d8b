"""Accepts speakers: TLS on one port, one conversation per speaker."""

import asyncio
import contextlib
import errno
import fcntl
import os
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from sourdine import wire
from sourdine_board.mistake import Mistake
from sourdine_tools.server import enrol
from sourdine_tools.server.conversation import Conversation
from sourdine_tools.server.pki import Authority
from sourdine_tools.server.session import Session

TLS_S = 10.0  # for a handshake
CONNECTIONS = 256  # at once
STRANGERS = 16  # of them without a certificate: they can only enrol, and must not keep speakers out

Callback = Callable[[Session], Awaitable[None] | None]
Tap = Callable[[str, str, bytes], None]


class Server:
    """Receives sessions; keeps no audio.

    on_session(session): called once per session when it is over, whatever ended it; may be a coroutine; while it runs
        the audio is there and it may reply(); then the buffer is wiped. A plain function holds everything up meanwhile.
    tap(connection, direction, data): every plaintext chunk just as it came out of TLS ("in") or goes into it ("out"),
        before anything looks at it. connection is the speaker's name and the number of the connection, "kitchen#2";
        a peer without certificate is "?#3".
    announce(line): what there is to say; no audio, no secrets.
    """

    def __init__(
        self,
        state: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        on_session: Callback | None = None,
        tap: Tap | None = None,
        announce: Callable[[str], None] = print,
    ) -> None:
        self.authority = Authority(Path(state))
        self.state = Path(state)
        self.host = host
        self.port = port
        self.on_session = on_session
        self.announce = announce
        self.conversations: dict[str, Conversation] = {}
        self.buffers: set[Session] = set()  # sessions whose audio is not wiped yet
        self._tap = tap
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.Task] = set()
        self._strangers = 0
        self._count = 0
        self._lock: int | None = None  # on the state folder

    @property
    def buffered(self) -> int:
        """Bytes of audio held right now."""
        return sum(session.bytes for session in self.buffers)

    @property
    def sessions(self) -> dict[str, Session]:
        """The sessions that are open right now, by speaker."""
        return {name: each.session for name, each in self.conversations.items() if each.session}

    async def start(self) -> None:
        """Listen. Raises Mistake when the address cannot be used, or another server uses the state folder."""
        self._lock = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._unlock()
            raise Mistake(f"another server uses {self.state}: stop it, or give this one its own --state") from error
        try:
            self._server = await asyncio.start_server(
                self._accept, self.host, self.port, ssl=self.authority.context(), ssl_handshake_timeout=TLS_S
            )
        except (OSError, OverflowError) as error:
            self._unlock()
            why = getattr(error, "strerror", None) or error
            busy = getattr(error, "errno", None) == errno.EADDRINUSE
            what = (
                "another program uses it; stop that, or choose another --port" if busy else f"{why}; see --host, --port"
            )
            raise Mistake(f"cannot listen on {self.host} port {self.port}: {what}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Tell every speaker, end every session, wipe every buffer."""
        if self._server:
            self._server.close()
        for conversation in list(self.conversations.values()):
            await conversation.hang_up(wire.STOPPING)
        peers = list(self._peers)
        for peer in peers:
            peer.cancel()
        await asyncio.gather(*peers, return_exceptions=True)
        for session in list(self.buffers):
            self.forget(session)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def forget(self, session: Session) -> None:
        """Wipe a session's audio."""
        session.wipe()
        self.buffers.discard(session)

    def tap(self, connection: str, direction: str, data: bytes) -> None:
        if self._tap:
            self._tap(connection, direction, data)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._peers.add(task)
        self._count += 1
        try:
            await self._serve(reader, writer, self._count)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            pass  # the peer went away, or we do
        finally:
            self._peers.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if certificate is None:
            if self._strangers < STRANGERS:
                self._strangers += 1
                try:
                    await enrol.answer(reader, writer, self.authority, self.announce)
                finally:
                    self._strangers -= 1
            return
        device = self.authority.device(certificate)
        name = device.name if device else "?"
        conversation = Conversation(self, device, certificate, reader, writer, f"{name}#{number}")
        if device is None:
            self.announce("refused a certificate that is revoked, replaced or unknown")
            await conversation.hang_up(wire.REVOKED)
        elif len(self._peers) > CONNECTIONS:
            await conversation.hang_up(wire.BUSY)
        else:
            earlier = self.conversations.get(name)
            self.conversations[name] = conversation  # from now on: a third one replaces this
            try:
                if earlier:
                    await earlier.hang_up(wire.REPLACED)
                await conversation.run()
            finally:
                if self.conversations.get(name) is conversation:
                    del self.conversations[name]


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server in a thread of its own, for programs that are not asynchronous. Callbacks run in that thread."""
    started = threading.Event()
    trouble: list[Exception] = []
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def run() -> None:
        try:
            await server.start()
        except Exception as error:  # noqa: BLE001  raised again in the thread that waits for it
            trouble.append(error)
            return
        finally:
            started.set()
        await over.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), name="sourdine server")
    thread.start()
    started.wait()
    try:
        if trouble:
            raise trouble[0]
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
