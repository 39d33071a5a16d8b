"""A plain TCP relay between board and server that writes down every byte: what anybody on the network would see."""

import selectors
import socket
import threading
from dataclasses import dataclass, field
from typing import Self

OUT, IN = "out", "in"  # out of the house's board; back to it
CHUNK = 65_536  # bytes read at once


@dataclass
class Connection:
    """One TCP connection through the relay, and all that passed, each way, in order."""

    sent: dict[str, bytearray] = field(default_factory=lambda: {OUT: bytearray(), IN: bytearray()})
    closed: bool = False


class Relay:
    """Listens on a free port of 127.0.0.1 and passes everything on to (host, port). Use it as a context."""

    def __init__(self, host: str, port: int):
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wakeup, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[Connection] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._waker.send(b"x")
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener, self._wakeup, self._waker:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            open_sockets: set[socket.socket] = set()
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._wakeup:
                        for each in open_sockets:
                            each.close()
                        return
                    if key.fileobj is self._listener:
                        open_sockets |= self._accept(selector)
                    elif key.data[0] in open_sockets:  # its other half may have closed it in this very round
                        open_sockets -= self._pass_on(selector, key)

    def _accept(self, selector: selectors.BaseSelector) -> set[socket.socket]:
        board, _ = self._listener.accept()
        connection = Connection()
        self.connections.append(connection)
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            board.close()
            connection.closed = True
            return set()
        for source, target, direction in ((board, server, OUT), (server, board, IN)):
            source.settimeout(30)  # a reader that stalls for so long is dead
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(source, selectors.EVENT_READ, (source, target, connection, direction))
        return {board, server}

    def _pass_on(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> set[socket.socket]:
        """Move one chunk. Returns the sockets that are finished."""
        source, target, connection, direction = key.data
        try:
            data = source.recv(CHUNK)
            connection.sent[direction] += data
            if data:
                target.sendall(data)
                return set()
        except OSError:
            pass  # a reset: the same end as an orderly one
        for each in (source, target):
            selector.unregister(each)
            each.close()
        connection.closed = True
        return {source, target}
